"""Authorities and certificates for a test, made by `openssl` in a folder of their own."""

import os
import shutil
import subprocess
import tempfile

HERE = "DNS:localhost,IP:127.0.0.1"
EXTENSIONS = {
    "authority": "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
    "leaf": "basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n",
}


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Leaf:
    """A key and its certificate: apart, in one PEM file as servers want it, and as PKCS#12."""

    def __init__(self, path):
        self.key, self.certificate, self.pem, self.p12 = (f"{path}.{end}" for end in ("key", "crt", "pem", "p12"))

    def make(self, authority):
        with open(self.pem, "w", encoding="utf-8") as file:
            for part in (self.key, self.certificate):
                with open(part, encoding="utf-8") as text:
                    file.write(text.read())
        openssl("pkcs12", "-export", "-inkey", self.key, "-in", self.certificate, "-certfile", authority,
                "-passout", "pass:secret", "-out", self.p12)  # fmt: skip
        return self


class Authority:
    """Signs certificates; `certificate` is what others trust."""

    def __init__(self, name):
        self.folder = tempfile.TemporaryDirectory(prefix="ottla-keys-")
        self.certificate, self.key = (os.path.join(self.folder.name, f"authority.{end}") for end in ("pem", "key"))
        self._request(f"/CN={name}", EXTENSIONS["authority"], self.certificate, self.key)

    def leaf(self, name, names=HERE, organisation="Test"):
        leaf = Leaf(os.path.join(self.folder.name, name))
        extensions = EXTENSIONS["leaf"].format(names=names)
        signed = ("-CA", self.certificate, "-CAkey", self.key)
        self._request(f"/O={organisation}/CN={name}", extensions, leaf.certificate, leaf.key, *signed)
        return leaf.make(self.certificate)

    def _request(self, subject, extensions, certificate, key, *more):
        config = os.path.join(self.folder.name, "request.cnf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[req]\ndistinguished_name=name\n[name]\n[extensions]\n{extensions}")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-config", config, "-extensions", "extensions", "-subj", subject,
                "-keyout", key, "-out", certificate, *more)  # fmt: skip


def replace(file, by):
    """Puts another file in the place of one, in one step as those do who renew keys."""
    shutil.copyfile(by, f"{file}.new")
    os.replace(f"{file}.new", file)
