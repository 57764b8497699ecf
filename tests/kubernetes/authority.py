"""A certificate authority of the tests, made by the openssl program."""

import datetime
import pathlib
import subprocess

CONFIGURATION = """\
[ca]
default_ca = tests
[tests]
database = {directory}/{name}.index
new_certs_dir = {directory}
certificate = {directory}/{name}.crt
private_key = {directory}/{name}.key
default_md = sha256
rand_serial = yes
unique_subject = no
policy = anything
[anything]
organizationName = optional
commonName = supplied
"""


class Authority:
    """Called `name`, its files are NAME.crt and NAME.key in `directory`; one that is there already is used again.

    What it issues is valid from yesterday on, so that a clock may be stepped back.
    """

    def __init__(self, directory, name):
        self.directory, self.name = pathlib.Path(directory), name
        self.certificate = self.directory / f"{name}.crt"
        if not self.certificate.exists():
            self._file("cnf").write_text(CONFIGURATION.format(directory=self.directory, name=name))
            self._file("index").touch()
            self._sign(name, f"/CN={name}", "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
                       "subjectKeyIdentifier=hash\n", "-selfsign")

    def issue(self, name, subject, alternative_names=()):
        """NAME.crt and NAME.key for `subject` ("/O=...//CN=..."); with alternative names it is a server's, else a client's."""
        extensions = "basicConstraints=CA:false\nauthorityKeyIdentifier=keyid\n"
        if alternative_names:
            extensions += f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(alternative_names)}\n"
        else:
            extensions += "extendedKeyUsage=clientAuth\n"
        self._sign(name, subject, extensions)
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def _sign(self, name, subject, extensions, *options):
        key, request = self.directory / f"{name}.key", self.directory / f"{name}.csr"
        written = self.directory / f"{name}.crt.new"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        extension_file = self.directory / f"{name}.ext"
        extension_file.write_text(extensions)
        now = datetime.datetime.now(datetime.timezone.utc)
        dates = [(now + datetime.timedelta(days=days)).strftime("%y%m%d%H%M%SZ") for days in (-1, 30)]
        openssl("ca", "-batch", "-notext", "-config", self._file("cnf"), "-in", request, "-out", written, "-startdate", dates[0],
                "-enddate", dates[1], "-extfile", extension_file, *options)
        written.rename(self.directory / f"{name}.crt")

    def _file(self, kind):
        return self.directory / f"{self.name}.{kind}"


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
