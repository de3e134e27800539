"""`postern serve` as a command: bootstrap, readiness, signals, TLS, what it refuses."""

import os
import signal
import ssl
import subprocess
import urllib.request

import pytest

from server import Server


def run(postern, *words, **options):
    return subprocess.run([postern, "serve", *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          **options)


def test_the_first_start_makes_everything_and_says_it_in_a_private_file(own):
    scene = own()
    assert scene.server.env_file.stat().st_mode & 0o777 == 0o600
    assert set(scene.server.values) >= {"POSTERN_URL", "POSTERN_API_KEY", "POSTERN_ENVIRONMENT_ID",
                                        "POSTERN_ENVIRONMENT_KEY"}
    (environment,) = scene.api.all("/v1/environments")
    assert environment["id"] == scene.server.environment_id
    assert scene.worker_api.get(f"/v1/environments/{environment['id']}/work/poll").status == 200


def test_a_second_start_makes_nothing_new(own):
    scene = own()
    before = dict(scene.server.values)
    scene.server.stop()
    scene.server.restart()
    assert len(scene.api.all("/v1/environments")) == 1
    assert scene.server.environment_id == before["POSTERN_ENVIRONMENT_ID"]
    assert type(scene.api)(scene.server.url, before["POSTERN_API_KEY"]).get("/v1/agents").status == 200


def test_a_file_with_other_things_is_not_replaced_by_keys(postern, tmp_path):
    other = tmp_path / "other.env"
    other.write_text("HELLO=1\n")
    done = run(postern, "--bootstrap", "--env-file", other, "--state", tmp_path / "state", "--listen", "127.0.0.1:0")
    assert done.returncode == 5 and "other.env" in done.stderr
    assert other.read_text() == "HELLO=1\n"


def test_a_key_with_a_pass_phrase_is_refused_without_asking(postern, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=localhost", "-days", "2",
                    "-passout", "pass:secret", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    (tmp_path / "postern.yaml").write_text(f"tls:\n  certificate: {tmp_path}/cert.pem\n  key: {tmp_path}/key.pem\n")
    done = run(postern, "--config", tmp_path / "postern.yaml", "--state", tmp_path / "state", "--listen", "127.0.0.1:0")
    assert done.returncode == 1 and "pass phrase" in done.stderr and "Enter" not in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_it_ends_well_on_a_signal(own, name):
    scene = own()
    session = scene.session(scene.agent())
    with scene.api.stream(session["id"]) as stream:
        scene.server.process.send_signal(getattr(signal, name))
        assert scene.server.process.wait(60) == 0
        stream.rest()


def test_it_is_started_without_bootstrap_only_on_a_state_that_is_there(postern, tmp_path):
    done = run(postern, "--state", tmp_path / "none", "--listen", "127.0.0.1:0", "--no-such-option")
    assert done.returncode == 2 and done.stderr.startswith("postern")


BAD = {
    "listen": ["--listen", "nowhere"], "port": ["--listen", "127.0.0.1:99999"], "option": ["--frobnicate"],
    "config": ["--config", "/nonexistent/postern.yaml"], "value missing": ["--state"],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_refused_with_one_clear_line(postern, tmp_path, name):
    done = run(postern, *BAD[name], cwd=tmp_path)
    assert done.returncode not in (0, -11, -6) and done.stderr.strip(), done
    assert len(done.stderr.strip().splitlines()) <= 3


CONFIGS = {"no YAML": "a: [", "unknown key": "frobnicate: 1\n", "wrong type": "listen: [1, 2]\n", "tabs": "a:\n\tb: 1\n"}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bad_configuration_is_refused_and_names_the_place(postern, tmp_path, name):
    path = tmp_path / "postern.yaml"
    path.write_text(CONFIGS[name])
    done = run(postern, "--config", path, "--state", tmp_path / "state", "--listen", "127.0.0.1:0")
    assert done.returncode not in (0, -11, -6) and "postern.yaml" in done.stderr, done
    assert not (tmp_path / "state").exists() or not any((tmp_path / "state").iterdir())


def test_plain_http_beyond_loopback_needs_a_word(postern, tmp_path):
    done = run(postern, "--bootstrap", "--state", tmp_path / "state", "--listen", "0.0.0.0:0", "--env-file",
               tmp_path / "env")
    assert done.returncode != 0 and "TLS" in done.stderr.upper()


def test_a_port_that_is_taken_is_said(own, postern, tmp_path):
    scene = own()
    done = run(postern, "--bootstrap", "--state", tmp_path / "state", "--listen", scene.server.listen, "--env-file",
               tmp_path / "env")
    assert done.returncode != 0 and scene.server.listen in done.stderr and not (tmp_path / "env").exists()


def test_help_says_what_the_variables_mean(postern):
    done = run(postern, "--help")
    assert done.returncode == 0 and "ANTHROPIC_BASE_URL" in done.stdout and "--bootstrap" in done.stdout


def test_tls_is_served_and_new_certificates_are_taken_up(postern, tmp_path):
    def certificate(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out",
                        tmp_path / "cert.pem"], check=True, capture_output=True)
        return (tmp_path / "cert.pem").read_text()

    first = certificate("first")
    server = Server(postern, tmp_path / "server",
                    {"tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}})
    server.start()
    try:
        assert server.url.startswith("https://")
        port = int(server.url.rsplit(":", 1)[1])

        def served():
            return ssl.get_server_certificate(("127.0.0.1", port))

        assert served().split() == first.split()
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        with urllib.request.urlopen(f"{server.url}/healthz", context=context) as answer:
            assert answer.status == 200
        second = certificate("second")
        os.kill(server.process.pid, signal.SIGHUP)
        server.wait_for(lambda: served().split() == second.split(), "the new certificate")
    finally:
        server.close()
