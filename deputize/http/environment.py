"""What on this machine stands between a request and its server: proxies and certificates."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import httpx2

from deputize.errors import EnvironmentNotReady, ExplainedError, Remedy
from deputize.http.redaction import mask_text, mask_url
from deputize.http.sanitizing import safe_text
from deputize.net import is_loopback

_CREDENTIALS = re.compile(r"//[^@]*@")


class NotSent(httpx2.TransportError):
    """Something on this machine keeps the request from leaving it; `fault` says what."""

    def __init__(self, fault: ExplainedError) -> None:
        super().__init__(f"{fault.what}: {fault.why}")
        self.fault = fault


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable or setting that names it."""

    url: str
    named_by: str

    def __str__(self) -> str:
        # A value that is no URL may hold a password all the same.
        shown = _CREDENTIALS.sub("//[masked]@", mask_url(self.url))
        return f"the proxy {safe_text(shown, one_line=True)} of {self.named_by}"


def proxy_for(url: httpx2.URL) -> Proxy | None:
    """The proxy that the environment or the system names for `url`; never one for this machine itself."""
    # With the port: NO_PROXY may name one (`example.com:8443`).
    port = url.port or (443 if url.scheme == "https" else 80)
    if is_loopback(url.host) or proxy_bypass(url.host) or proxy_bypass(f"{url.host}:{port}"):
        return None
    proxies = getproxies()
    scheme = url.scheme if proxies.get(url.scheme) else "all"
    if not (told := proxies.get(scheme)):
        return None
    variables = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    named = next((name for name in variables if os.environ.get(name)), "this system's settings")
    # Without a scheme it means an HTTP proxy, as curl and browsers read it.
    return Proxy(told if "://" in told else f"http://{told}", named)


def explained(error: Exception, proxy: Proxy | None) -> httpx2.TransportError:
    """What kept a request from being answered, as one kind of error that says where the fault is."""
    if isinstance(error, NotSent):
        return error
    if proxy is not None and isinstance(error, httpx2.ProxyError | httpx2.ConnectError | httpx2.ConnectTimeout):
        why = str(error) or ("no answer" if isinstance(error, httpx2.TimeoutException) else type(error).__name__)
        if "CERTIFICATE_VERIFY_FAILED" not in why:
            return NotSent(unusable_proxy(proxy, why))
    if "CERTIFICATE_VERIFY_FAILED" in str(error) and (variable := _own_certificates()) is not None:
        return NotSent(
            EnvironmentNotReady(
                "the server's certificate cannot be verified",
                why=f"{error}; this machine's own certificates are replaced by {variable} ({os.environ[variable]})",
                do=f"unset {variable}, or name certificates there that this server's was signed by",
            )
        )
    if isinstance(error, httpx2.LocalProtocolError):
        # What h11 says repeats the value, which may be a secret.
        return NotSent(
            EnvironmentNotReady(
                "the request cannot be sent",
                why=mask_text(str(error)).partition(" b'")[0] + ": a header's value has characters that HTTP forbids",
                do="look at the token and at the values of arguments that the tool wants in headers",
            )
        )
    if isinstance(error, httpx2.TransportError):
        return error
    return NotSent(
        EnvironmentNotReady(
            "the request cannot be sent",
            why=f"{type(error).__name__}: {mask_text(str(error))}",
            do="check this machine's network settings",
            remedy=Remedy("check_machine"),
        )
    )


def unusable_proxy(proxy: Proxy | None, why: str) -> EnvironmentNotReady:
    named = proxy.named_by if proxy is not None else "the proxy's variable"
    return EnvironmentNotReady(
        f"{proxy} cannot be used",
        why=safe_text(mask_text(why), one_line=True),
        do=f"correct or unset {named}, or add the server's host to NO_PROXY",
    )


def _own_certificates() -> str | None:
    """The variable by which this environment names its own certificates (OpenSSL, `SSL_CTX_load_verify_locations`)."""
    return next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)


def certificates() -> ssl.SSLContext:
    """The certificates that servers are held against: this machine's, or those that a variable names.

    Raises:
        NotSent: the variable names what is not there, or what is none.
    """
    variable = _own_certificates()
    told = os.environ[variable] if variable else ""
    try:
        if variable == "SSL_CERT_DIR" and not any(map(os.path.isdir, told.split(os.pathsep))):
            raise NotADirectoryError(f"there is no folder {told}")
        return httpx2.create_ssl_context()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = str(error) if variable is None else f"{variable} is {told}: {getattr(error, 'strerror', None) or error}"
        do = "see to this machine's certificates" if variable is None else f"unset {variable}, or correct it"
        raise NotSent(
            EnvironmentNotReady("this machine's certificates cannot be read", why=safe_text(why, one_line=True), do=do)
        ) from None
