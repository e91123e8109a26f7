/** The shop's data: written by `make worker-data` from `demo/shop/shop.toml`, `demo/policy.toml`,
 * `deputize/access_tokens.py` and `demo/proofs.py`. Change it there, never here. */

/** What the MCP server says of itself. */
export const SERVER = {
  "name": "machine-identity-demo-shop",
  "title": "Conference T-shirt shop",
  "instructions": "A shop that sells one conference T-shirt. List the inventory before buying. Buying spends money of the human who deputized you, within the limit they consented to. When a call is refused, the answer says which gate refused it, why, and what would make it pass; ask the human, do not try to get around it."
} as const;

/** The one thing to buy. */
export const ITEM = {
  "id": "conference-t-shirt",
  "name": "Conference T-shirt",
  "description": "Cotton, printed for this conference.",
  "sizes": [
    "S",
    "M",
    "L",
    "XL",
    "XXL"
  ],
  "price": {
    "amount": 2500,
    "currency": "USD"
  }
} as const;

/** Scopes that no tool names, and the words of a spending limit (RFC 9396). */
export const SCOPES = {
  "default": "shop:read",
  "audit": "audit:read",
  "everyOrder": "orders:all",
  "manage": "sessions:manage",
  "shopper": [
    "shop:read",
    "orders:read",
    "shop:buy"
  ],
  "adminRole": "admin",
  "spendingType": "shop_spending",
  "purchaseType": "shop_purchase",
  "spendingAction": "buy"
} as const;

/** The only addresses that the open door tells. */
export const SAMPLE_ADDRESSES = [
  "1 Edge Row, Lisbon",
  "12 Main Street, Springfield",
  "P.O. Box 0, Nowhere"
] as const;

/** Limits, and the defaults of those that a variable may change. */
export const LIMITS = {
  "rate_calls": 10,
  "rate_seconds": 10,
  "open_rate_calls": 30,
  "purchases_per_consent": 2,
  "approve_above": 5000,
  "stock": 100,
  "most_stock": 1000000,
  "description_characters": 600,
  "leeway_seconds": 1,
  "skew_seconds": 5,
  "message_bytes": 1048576,
  "message_seconds": 10,
  "turn_seconds": 15,
  "retry_seconds": 2,
  "token_characters": 16384,
  "answer_bytes": 262144,
  "answer_seconds": 3,
  "keys_seconds": 300,
  "keys_again_seconds": 1,
  "audit_entries": 200,
  "most_audit_entries": 1000,
  "approval_wait_seconds": 10,
  "approval_look_seconds": 1,
  "most_waiting": 4
} as const;

/** The tools as `tools/list` gives them. */
export const TOOLS = [
  {
    "name": "listMcpShopInventory",
    "description": "List what the shop sells: sizes, price, and how many are left.",
    "inputSchema": {
      "type": "object",
      "properties": {}
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "items": {
          "type": "array",
          "items": {
            "$ref": "#/$defs/Item"
          }
        }
      },
      "required": [
        "items"
      ],
      "$defs": {
        "Item": {
          "description": "Something to buy.",
          "type": "object",
          "properties": {
            "id": {
              "type": "string"
            },
            "name": {
              "type": "string"
            },
            "description": {
              "type": "string"
            },
            "sizes": {
              "type": "array",
              "items": {
                "type": "string"
              }
            },
            "price": {
              "$ref": "#/$defs/Price"
            },
            "stock": {
              "type": "integer"
            }
          },
          "required": [
            "id",
            "name",
            "description",
            "sizes",
            "price",
            "stock"
          ]
        },
        "Price": {
          "description": "An amount in minor units (cents) with its ISO 4217 currency.",
          "type": "object",
          "properties": {
            "amount": {
              "type": "integer"
            },
            "currency": {
              "type": "string"
            }
          },
          "required": [
            "amount",
            "currency"
          ]
        }
      }
    },
    "annotations": {
      "readOnlyHint": true,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "shop:read"
    }
  },
  {
    "name": "buyMcpShopItem",
    "description": "Buy one conference T-shirt. This spends real money of the human who consented to it.",
    "inputSchema": {
      "type": "object",
      "properties": {
        "company": {
          "type": "string",
          "minLength": 1,
          "maxLength": 100,
          "description": "Company."
        },
        "mailingAddress": {
          "type": "string",
          "minLength": 1,
          "maxLength": 300,
          "description": "Where to send the shirt."
        },
        "tshirtSize": {
          "enum": [
            "S",
            "M",
            "L",
            "XL",
            "XXL"
          ],
          "type": "string",
          "description": "Size of the T-shirt."
        },
        "idempotencyKey": {
          "anyOf": [
            {
              "type": "string",
              "maxLength": 200
            },
            {
              "type": "null"
            }
          ],
          "description": "Makes the call safe to repeat: the same key finds the same order and buys nothing twice."
        }
      },
      "required": [
        "company",
        "mailingAddress",
        "tshirtSize"
      ]
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "order": {
          "$ref": "#/$defs/Order"
        }
      },
      "required": [
        "order"
      ],
      "$defs": {
        "Order": {
          "description": "An order as its buyer is told it; `at` in POSIX seconds.",
          "type": "object",
          "properties": {
            "id": {
              "type": "string"
            },
            "item": {
              "type": "string"
            },
            "size": {
              "type": "string"
            },
            "company": {
              "type": "string"
            },
            "price": {
              "$ref": "#/$defs/Price"
            },
            "at": {
              "type": "number"
            },
            "user": {
              "anyOf": [
                {
                  "type": "string"
                },
                {
                  "type": "null"
                }
              ]
            },
            "agent": {
              "anyOf": [
                {
                  "type": "string"
                },
                {
                  "type": "null"
                }
              ]
            },
            "consent": {
              "anyOf": [
                {
                  "type": "string"
                },
                {
                  "type": "null"
                }
              ]
            },
            "replayed": {
              "type": "boolean"
            },
            "cancelled": {
              "type": "boolean"
            },
            "balance": {
              "anyOf": [
                {
                  "$ref": "#/$defs/Price"
                },
                {
                  "type": "null"
                }
              ]
            },
            "spendingLimit": {
              "anyOf": [
                {
                  "$ref": "#/$defs/Price"
                },
                {
                  "type": "null"
                }
              ]
            }
          },
          "required": [
            "id",
            "item",
            "size",
            "company",
            "price",
            "at",
            "user",
            "agent",
            "consent",
            "replayed",
            "cancelled",
            "balance",
            "spendingLimit"
          ]
        },
        "Price": {
          "description": "An amount in minor units (cents) with its ISO 4217 currency.",
          "type": "object",
          "properties": {
            "amount": {
              "type": "integer"
            },
            "currency": {
              "type": "string"
            }
          },
          "required": [
            "amount",
            "currency"
          ]
        }
      }
    },
    "annotations": {
      "readOnlyHint": false,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "shop:buy"
    }
  },
  {
    "name": "listMcpShopOrders",
    "description": "List the orders that the calling agent placed, with the addresses they go to; with `orders:all`, all of its human's.",
    "inputSchema": {
      "type": "object",
      "properties": {}
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "orders": {
          "type": "array",
          "items": {
            "$ref": "#/$defs/ListedOrder"
          }
        }
      },
      "required": [
        "orders"
      ],
      "$defs": {
        "ListedOrder": {
          "description": "An order with where it goes.",
          "type": "object",
          "properties": {
            "id": {
              "type": "string"
            },
            "item": {
              "type": "string"
            },
            "size": {
              "type": "string"
            },
            "company": {
              "type": "string"
            },
            "price": {
              "$ref": "#/$defs/Price"
            },
            "at": {
              "type": "number"
            },
            "user": {
              "anyOf": [
                {
                  "type": "string"
                },
                {
                  "type": "null"
                }
              ]
            },
            "agent": {
              "anyOf": [
                {
                  "type": "string"
                },
                {
                  "type": "null"
                }
              ]
            },
            "consent": {
              "anyOf": [
                {
                  "type": "string"
                },
                {
                  "type": "null"
                }
              ]
            },
            "replayed": {
              "type": "boolean"
            },
            "cancelled": {
              "type": "boolean"
            },
            "balance": {
              "anyOf": [
                {
                  "$ref": "#/$defs/Price"
                },
                {
                  "type": "null"
                }
              ]
            },
            "spendingLimit": {
              "anyOf": [
                {
                  "$ref": "#/$defs/Price"
                },
                {
                  "type": "null"
                }
              ]
            },
            "mailingAddress": {
              "type": "string"
            }
          },
          "required": [
            "id",
            "item",
            "size",
            "company",
            "price",
            "at",
            "user",
            "agent",
            "consent",
            "replayed",
            "cancelled",
            "balance",
            "spendingLimit",
            "mailingAddress"
          ]
        },
        "Price": {
          "description": "An amount in minor units (cents) with its ISO 4217 currency.",
          "type": "object",
          "properties": {
            "amount": {
              "type": "integer"
            },
            "currency": {
              "type": "string"
            }
          },
          "required": [
            "amount",
            "currency"
          ]
        }
      }
    },
    "annotations": {
      "readOnlyHint": true,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "orders:read"
    }
  },
  {
    "name": "getUserInfo",
    "description": "Tell who is calling: the human, the agent, the session and its scopes.",
    "inputSchema": {
      "type": "object",
      "properties": {}
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "user": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "username": {
          "type": "string"
        },
        "name": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "roles": {
          "type": "array",
          "items": {
            "type": "string"
          }
        },
        "agent": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "client": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "session": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "scopes": {
          "type": "array",
          "items": {
            "type": "string"
          }
        },
        "mode": {
          "enum": [
            "normal",
            "banned"
          ],
          "type": "string"
        }
      },
      "required": [
        "user",
        "username",
        "name",
        "roles",
        "agent",
        "client",
        "session",
        "scopes",
        "mode"
      ]
    },
    "annotations": {
      "readOnlyHint": true,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "user:read"
    }
  },
  {
    "name": "setDemoMode",
    "description": "Switch the demo's mode for the calling agent: `banned` shuts this agent out of the shop, and no other.",
    "inputSchema": {
      "type": "object",
      "properties": {
        "mode": {
          "enum": [
            "normal",
            "banned"
          ],
          "type": "string"
        }
      },
      "required": [
        "mode"
      ]
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "user": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "mode": {
          "enum": [
            "normal",
            "banned"
          ],
          "type": "string"
        }
      },
      "required": [
        "user",
        "mode"
      ]
    },
    "annotations": {
      "readOnlyHint": false,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "demo:mode"
    }
  },
  {
    "name": "clearDemoMode",
    "description": "Switch the demo's mode for the calling agent back to normal.",
    "inputSchema": {
      "type": "object",
      "properties": {}
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "user": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "mode": {
          "enum": [
            "normal",
            "banned"
          ],
          "type": "string"
        }
      },
      "required": [
        "user",
        "mode"
      ]
    },
    "annotations": {
      "readOnlyHint": false,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "demo:mode"
    }
  },
  {
    "name": "prettyPlease",
    "description": "Ask nicely to be let back in: the one tool that a banned agent may call.",
    "inputSchema": {
      "type": "object",
      "properties": {}
    },
    "outputSchema": {
      "type": "object",
      "properties": {
        "user": {
          "anyOf": [
            {
              "type": "string"
            },
            {
              "type": "null"
            }
          ]
        },
        "mode": {
          "enum": [
            "normal",
            "banned"
          ],
          "type": "string"
        },
        "message": {
          "type": "string"
        }
      },
      "required": [
        "user",
        "mode",
        "message"
      ]
    },
    "annotations": {
      "readOnlyHint": false,
      "openWorldHint": false
    },
    "_meta": {
      "demo/scope": "shop:read"
    }
  }
] as const;

/** The rules of the gates: gate, HTTP status, challenge, and reason and remedy of each variant. */
export const RULES = {
  "token.missing": {
    "gate": "token",
    "status": 401,
    "challenge": "token",
    "words": {
      "main": {
        "reason": "No access token came with this call.",
        "remedy": "Ask a human to log in and deputize this agent."
      }
    }
  },
  "token.malformed": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The token is not a signed JWT.",
        "remedy": "Log in again, then call again."
      },
      "claims": {
        "reason": "The token's claims are not readable.",
        "remedy": "Log in again, then call again."
      },
      "claim": {
        "reason": "The token lacks a claim that an access token must have.",
        "remedy": "Log in again, then call again."
      }
    }
  },
  "token.signature": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The token's signature does not fit.",
        "remedy": "Log in again, then call again."
      },
      "algorithm": {
        "reason": "The token is not signed in a way that this shop accepts.",
        "remedy": "Log in again, then call again."
      },
      "key": {
        "reason": "The token is not signed with a key of the authorization server.",
        "remedy": "Log in again, then call again."
      },
      "unchecked": {
        "reason": "The token's signature cannot be checked.",
        "remedy": "Log in again, then call again."
      }
    }
  },
  "token.issuer": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The token's issuer is not the authorization server of this shop.",
        "remedy": "Log in again, then call again."
      }
    }
  },
  "token.audience": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The token is for {audience}, not for this shop.",
        "remedy": "Get one for this shop (`resource`, RFC 8707)."
      },
      "nobody": {
        "reason": "The token is for nobody in particular.",
        "remedy": "Get one for this shop (`resource`, RFC 8707)."
      }
    }
  },
  "token.expired": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The token expired {seconds} s ago.",
        "remedy": "Refresh it or log in again, then call again."
      },
      "just_now": {
        "reason": "The token expired just now.",
        "remedy": "Get a new one, then call again."
      },
      "handed_on": {
        "reason": "The token expired {seconds} s ago.",
        "remedy": "Have the agent above it hand on again, then call again."
      },
      "not_yet": {
        "reason": "The token is not valid yet.",
        "remedy": "Set the clock, or wait, then call again."
      },
      "behind": {
        "reason": "Expired {seconds} s ago here: the authorization server's clock is {skew} s behind.",
        "remedy": "Set the clocks (NTP), get a new token, then call again."
      },
      "ahead": {
        "reason": "Expired at the authorization server, whose clock is {skew} s ahead.",
        "remedy": "Set the clocks (NTP), get a new token, then call again."
      }
    }
  },
  "token.type": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "{objection}",
        "remedy": "Present the access token that came with it (RFC 6749 section 5.1)."
      }
    }
  },
  "token.bound": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "This token is bound to a key, and came without proof of it.",
        "remedy": "Send it with a proof by its key, by the DPoP scheme (RFC 9449)."
      },
      "unbound": {
        "reason": "This token is bound to no key, and came by the DPoP scheme.",
        "remedy": "Send it as a bearer token."
      },
      "unknown": {
        "reason": "This token is bound in a way that this shop cannot check.",
        "remedy": "Get one that is bound by DPoP (RFC 9449), or to nothing."
      }
    }
  },
  "token.proof": {
    "gate": "token",
    "status": 401,
    "challenge": "invalid_dpop_proof",
    "words": {
      "main": {
        "reason": "The proof does not hold.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "missing": {
        "reason": "This token is bound to a key, and no proof of it came.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "several": {
        "reason": "More than one proof came.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "malformed": {
        "reason": "The proof is no signed JWT of RFC 9449.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "signature": {
        "reason": "The proof is not signed by the key that it names.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "method": {
        "reason": "The proof is for another HTTP method.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "url": {
        "reason": "The proof is for another URL.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "token": {
        "reason": "The proof is for another token.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "key": {
        "reason": "The proof is by another key than the token is bound to.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      },
      "replayed": {
        "reason": "The proof was used before.",
        "remedy": "Make a proof for this very request, by the token's key (RFC 9449)."
      }
    }
  },
  "token.nonce": {
    "gate": "token",
    "status": 401,
    "challenge": "use_dpop_nonce",
    "words": {
      "main": {
        "reason": "The proof does not show that it was made just now.",
        "remedy": "Make a proof with the nonce of this answer, then call again."
      },
      "time": {
        "reason": "The proof's time is not now, by this shop's clock.",
        "remedy": "Make a proof with the nonce of this answer, then call again."
      },
      "nonce": {
        "reason": "The proof's nonce is not of this shop, or too old.",
        "remedy": "Make a proof with the nonce of this answer, then call again."
      }
    }
  },
  "standing.unknown": {
    "gate": "standing",
    "status": 503,
    "challenge": null,
    "words": {
      "main": {
        "reason": "Authorization server unavailable: {trouble}.",
        "remedy": "Nothing was done. Try again in a moment."
      },
      "lasting": {
        "reason": "Authorization server unavailable: {trouble}.",
        "remedy": "Nothing was done. The operator of this shop must fix its settings."
      },
      "outlived": {
        "reason": "What admitted this was too old when it was done. It is undone.",
        "remedy": "The shop asks again, and does it where it may."
      }
    }
  },
  "standing.session": {
    "gate": "standing",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The human revoked this session.",
        "remedy": "Log in again, then call again."
      },
      "handed_on": {
        "reason": "The human revoked this session.",
        "remedy": "Have the agent above it log in again, and hand on again."
      }
    }
  },
  "standing.agent": {
    "gate": "standing",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The human revoked this agent's access.",
        "remedy": "Ask to have it reinstated."
      },
      "handed_on": {
        "reason": "This agent was revoked, or one above it that handed on to it.",
        "remedy": "Ask to have the one that was revoked reinstated."
      }
    }
  },
  "standing.user": {
    "gate": "standing",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "All of this user's agents were stopped.",
        "remedy": "Have the user reinstated."
      }
    }
  },
  "standing.token": {
    "gate": "standing",
    "status": 401,
    "challenge": "invalid_token",
    "words": {
      "main": {
        "reason": "The authorization server says that this token is no longer active.",
        "remedy": "Log in again, then call again."
      },
      "handed_on": {
        "reason": "The authorization server says that this token is no longer active.",
        "remedy": "Have the agent above it log in again, and hand on again."
      }
    }
  },
  "standing.banned": {
    "gate": "standing",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "This agent is banned from the shop.",
        "remedy": "Call prettyPlease and mean it."
      },
      "handed_on": {
        "reason": "This agent is banned from the shop, or one above it is.",
        "remedy": "Have the banned one call prettyPlease, and mean it."
      }
    }
  },
  "allowlist.user": {
    "gate": "allowlist",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "{user} is not on this shop's allowlist.",
        "remedy": "Ask the shop to be let in."
      },
      "nameless": {
        "reason": "A user without a name is not on this shop's allowlist.",
        "remedy": "Ask the shop to be let in."
      }
    }
  },
  "allowlist.client": {
    "gate": "allowlist",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "{client} is not a human's own console.",
        "remedy": "Use the console."
      },
      "console": {
        "reason": "{client} is the human's own console, which does not shop.",
        "remedy": "Log an agent in."
      }
    }
  },
  "scope.insufficient": {
    "gate": "scope",
    "status": 403,
    "challenge": "insufficient_scope",
    "words": {
      "main": {
        "reason": "This agent holds {held}; {tool} needs {scope}.",
        "remedy": "Ask the human for {scope} (step up), then call again."
      },
      "handed_on": {
        "reason": "This agent holds {held}; {tool} needs {scope}.",
        "remedy": "Have the agent above it hand {scope} on, then call again."
      },
      "role": {
        "reason": "The role {roles} does not permit {scope}, which {tool} needs.",
        "remedy": "Have an admin permit {scope}, then call again."
      },
      "no_role": {
        "reason": "This user has no role here that permits anything; {tool} needs {scope}.",
        "remedy": "Have an admin permit {scope}, then call again."
      }
    }
  },
  "limits.rate": {
    "gate": "limits",
    "status": 429,
    "challenge": null,
    "words": {
      "main": {
        "reason": "{limit} calls in {window} s are used up.",
        "remedy": "Wait {seconds} s."
      }
    }
  },
  "limits.quota": {
    "gate": "limits",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "{used} of {limit} purchases of this consent are used.",
        "remedy": "Ask the human for a new consent."
      },
      "handed_on": {
        "reason": "{used} of {limit} purchases of this consent are used.",
        "remedy": "Have the agent above it get a new consent, and hand on again."
      },
      "ledger": {
        "reason": "The purchases of this consent are used up. Nothing was bought.",
        "remedy": "Ask the human for a new consent."
      }
    }
  },
  "limits.spending": {
    "gate": "limits",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "{left} is left of the human's limit; this costs {price}.",
        "remedy": "Ask the human for a higher limit."
      },
      "handed_on": {
        "reason": "{left} is left of what was handed on to this agent; this costs {price}.",
        "remedy": "Ask the agent above it to hand on more."
      },
      "above": {
        "reason": "{left} is left to the agent above this one; this costs {price}.",
        "remedy": "Have the agent above it ask for a higher limit, and hand on again."
      },
      "ledger": {
        "reason": "The human's spending limit does not allow this. Nothing was bought.",
        "remedy": "Ask the human for a new consent."
      }
    }
  },
  "limits.consent": {
    "gate": "limits",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "The human consented to no spending limit.",
        "remedy": "Ask for one (`authorization_details`, RFC 9396)."
      },
      "handed_on": {
        "reason": "No spending limit was handed on to this agent.",
        "remedy": "Have the agent above it hand one on (RFC 8693), then call again."
      },
      "ledger": {
        "reason": "The human consented to no spending limit. Nothing was bought.",
        "remedy": "Ask the human for a new consent."
      }
    }
  },
  "limits.approval": {
    "gate": "limits",
    "status": 403,
    "challenge": "insufficient_authorization",
    "words": {
      "main": {
        "reason": "{price} is more than {above}: a human must approve this very purchase.",
        "remedy": "Ask the human for an approval (step up), then call again."
      },
      "other": {
        "reason": "The approval is of another purchase, or of another agent.",
        "remedy": "Ask the human for an approval (step up), then call again."
      },
      "used": {
        "reason": "This approval was used: it was good for one purchase.",
        "remedy": "Ask the human for an approval (step up), then call again."
      },
      "late": {
        "reason": "This approval is too old: it was good for minutes.",
        "remedy": "Ask the human for an approval (step up), then call again."
      },
      "ledger": {
        "reason": "No approval stands for this purchase. Nothing was bought.",
        "remedy": "Ask the human for an approval (step up), then call again."
      },
      "unsupported": {
        "reason": "{price} is more than {above}, and this login server approves no single purchase.",
        "remedy": "Have the shop's operator raise the amount, or use another server."
      }
    }
  },
  "policy.changed": {
    "gate": "policy",
    "status": null,
    "challenge": null,
    "words": {
      "main": {
        "reason": "Policy {digest} is in force; it was {before}.",
        "remedy": null
      }
    }
  },
  "policy.refused": {
    "gate": "policy",
    "status": null,
    "challenge": null,
    "words": {
      "main": {
        "reason": "A new policy was refused ({where}); {digest} stays in force.",
        "remedy": "Fix the file; demo policy check names each fault."
      }
    }
  },
  "open.closed": {
    "gate": "door",
    "status": 403,
    "challenge": null,
    "words": {
      "main": {
        "reason": "The open door is switched off.",
        "remedy": "Log in, and call {resource} instead."
      }
    }
  },
  "open.anonymous": {
    "gate": "door",
    "status": null,
    "challenge": null,
    "words": {
      "main": {
        "reason": "The open door asks nobody who they are.",
        "remedy": null
      }
    }
  },
  "allowed": {
    "gate": "allowed",
    "status": null,
    "challenge": null,
    "words": {
      "main": {
        "reason": "Every gate passed for {user}.",
        "remedy": null
      },
      "client": {
        "reason": "Every gate passed for {user} through {client}.",
        "remedy": null
      },
      "approved": {
        "reason": "{user} approved this very purchase ({approval}).",
        "remedy": null
      }
    }
  }
} as const;

/** Every other sentence. */
export const SENTENCES = {
  "not_asked": "it was not asked",
  "no_connection": "no connection",
  "late": "it did not answer in time",
  "too_long": "its answer is too long",
  "no_metadata": "it has no metadata",
  "metadata_unreadable": "its metadata cannot be read",
  "other_issuer": "its metadata names another issuer",
  "no_endpoint": "it publishes no {name}",
  "unsafe_endpoint": "its {name} is unsafe",
  "keys_unreadable": "its keys cannot be read",
  "unknown_shop": "it does not know this shop",
  "nonsense": "its answer makes no sense",
  "other_token": "its answer is about another token",
  "sold_out": "The shirt is sold out. Nothing was bought or charged.",
  "key_reused": "This idempotencyKey already stands for an order with other arguments. Nothing was bought.",
  "revoked": "{reason} Nothing was bought.",
  "nobody_to_ban": "There is nobody to ban: anonymous.",
  "nobody_banned": "Nobody is banned here, because nobody is known here.",
  "welcome_back": "Since you ask so nicely: welcome back.",
  "not_banned": "So polite, and not even banned.",
  "withheld": "(withheld: it may be somebody's home)",
  "approve": "{reason} Open the page, and decide there; then call again.",
  "unknown_tool": "Unknown tool: {name}",
  "failed": "The shop has failed at this. Check your orders before you try again.",
  "bad_arguments": "Nothing was done. The arguments do not fit: {faults}.",
  "missing": "is required",
  "not_text": "must be a string",
  "too_short": "must have at least 1 character",
  "too_many": "must have at most {most} characters",
  "not_one_of": "must be one of {words}",
  "control": "must not contain control characters",
  "empty": "must not be empty",
  "message_too_long": "A message is at most {bytes} bytes here.",
  "message_too_slow": "The message did not arrive within {seconds} s.",
  "not_json": "The body is not JSON.",
  "batch": "Batches are not accepted: send one message per request.",
  "not_a_message": "The body is not a JSON-RPC message.",
  "post_only": "This server keeps no session and sends no event stream: POST one JSON-RPC message.",
  "no_audit": "The shop cannot write its audit log, so it does nothing. Try again in a moment.",
  "busy": "Other purchases for this human take long. Nothing was bought; try again.",
  "unsettled": "What this call relies on kept changing. Nothing was done; try again.",
  "unknown_prompt": "Unknown prompt: {name}",
  "audit_limit": "limit is a number from 1 to {most}.",
  "dispatch_sent": "The warehouse took {order}, by a token for it alone.",
  "dispatch_cancelled": "{order} was cancelled and its money counted back: {why}.",
  "dispatch_unclear": "{order} may be on its way, its money stays counted: {why}.",
  "dispatch_revoked": "the {kind} was revoked",
  "dispatch_late": "it could not be sent within {minutes} minutes",
  "dispatch_lost": "the answer of the warehouse was lost",
  "event_revoked": "The authorization server revoked {kind} {id} ({why}).",
  "audit_place": "after is the place of an entry in its log: a number.",
  "no_dispatch": "no such order goes to the warehouse, or it is not yours",
  "audit_log_unknown": "there is no such log, or it is not yours to read; /audit/checkpoint names yours",
  "audit_filter": "verdict is allow or deny, since a time in POSIX seconds.",
  "audit_after": "after names no entry of this audit log; leave it out to begin again.",
  "not_about_you": "only an admin of this shop may ask about somebody else",
  "no_admin": "only an admin of this shop may set its doors",
  "door_shape": "the body is JSON with a door (open or protected), and stock (0 to {most}), open (true or false) or description (plain text, at most {longest} characters)",
  "door_gates": "the protected door cannot be switched; its gates decide",
  "body_not_json": "the body is not JSON",
  "door_set": "{user} set the {door} door: {stock} in stock.",
  "door_described": "{user} set the text of the {door} door's listing ({digest}).",
  "door_closed": "{user} set the {door} door: closed, {stock} in stock."
} as const;

/** What tells an access token from others, as `deputize/access_tokens.py` explains it. */
export const TOKEN_TYPES = {
  "rfc9068": [
    "at+jwt"
  ],
  "authkit": [
    "absent",
    "at+jwt"
  ],
  "authkitHosts": [
    "authkit.app",
    "workos.com"
  ],
  "authkitConsent": "app_consent_",
  "loginClaims": [
    "nonce",
    "at_hash",
    "c_hash"
  ],
  "objections": {
    "id_token": "This is an ID token: it says who logged in, and opens nothing.",
    "absent": "The token does not say that it is an access token: it has no `typ` (RFC 9068 section 2.1).",
    "other": "A token of type '{type}' is no access token."
  }
} as const;

/** Proofs of possession (RFC 9449), as `demo/proofs.py` explains them. */
export const PROOFS = {
  "algorithms": [
    "ES256"
  ],
  "type": "dpop+jwt",
  "seconds": 60.0,
  "aheadSeconds": 5.0,
  "nonceSeconds": 300.0,
  "longest": 4096,
  "longestId": 256
} as const;
