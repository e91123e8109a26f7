"""A certificate for one address of this machine, made here and kept with its key as long as it is good.

Nobody vouches for it: a phone says so, and asks once. A tunnel's address has a certificate that phones know.
"""

from __future__ import annotations

import datetime
from ipaddress import ip_address
from pathlib import Path

from deputize import private

DAYS = 7
CERTIFICATE, KEY = "certificate.pem", "key.pem"


def certificate(folder: Path, host: str) -> tuple[Path, Path, str]:
    """The files of a certificate for the IP address `host` and of its key, made where there is none that is good for
    another day; and its SHA-256 fingerprint, by which a person can tell it.

    Raises:
        OSError: the folder cannot be written.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    file, key_file = folder / CERTIFICATE, folder / KEY
    now = datetime.datetime.now(datetime.UTC)
    if (found := _kept(file, key_file, host, now)) is not None:
        return file, key_file, _fingerprint(found)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The room of a talk")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # phones whose clock is a little behind
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        # RFC 6125 and RFC 9525: a client looks for the name here, and nowhere else.
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    private.write(key_file, pem)
    private.write(file, made.public_bytes(serialization.Encoding.PEM).decode())
    return file, key_file, _fingerprint(made)


def _kept(file: Path, key_file: Path, host: str, now: datetime.datetime) -> object | None:
    """The certificate that is kept, where it is for this address, fits the key and is good for another day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        kept = x509.load_pem_x509_certificate(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        named = kept.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return None
    fits = ip_address(host) in named.get_values_for_type(x509.IPAddress)
    lasts = kept.not_valid_after_utc - now > datetime.timedelta(days=1)
    same = kept.public_key() == key.public_key()
    return kept if fits and lasts and same and not key_file.stat().st_mode & 0o077 else None


def _fingerprint(certificate: object) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    assert isinstance(certificate, x509.Certificate)
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
