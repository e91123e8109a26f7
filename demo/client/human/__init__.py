"""The account owner: their own console, and the sample human who decides when nobody is at the keyboard."""
