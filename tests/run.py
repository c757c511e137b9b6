"""What `bin/test` calls: finds or starts servers, runs pytest against them under names of its own, cleans up."""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import sql

from config.embedded import CannotStart
from tests import servers

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Returns pytest's exit code."""
    options, pytest_arguments = _parse(arguments)
    run_id = f"{os.getpid()}{secrets.token_hex(2)}"
    if options.browser or options.all:
        _ensure_chromium()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="carillon-test-")))
        scratch.chmod(0o755)  # as root, the embedded PostgreSQL runs as a user of its own
        try:
            database_url = stack.enter_context(servers.database(scratch))
            environment = {
                **os.environ,
                "TEST_RUN_ID": run_id,
                "DATABASE_URL": database_url,
                "REDIS_URL": stack.enter_context(servers.redis()),
                "TEST_BROKER_URL": stack.enter_context(servers.broker(scratch)),
                "BROKER_URL": "",
                **({} if options.seed is None else {"FAULT_SEED": str(options.seed)}),
            }
        except CannotStart as error:
            servers.say(f"The tests cannot start. {error}")
            return 2
        try:
            codes = [
                subprocess.call([sys.executable, "-m", "pytest", *made], cwd=ROOT, env=environment)
                for made in _runs(options, pytest_arguments)
            ]
            return next((code for code in codes if code), 0)
        except KeyboardInterrupt:
            return 130
        finally:
            _drop_databases(database_url, f"test_carillon_{run_id}")


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="bin/test",
        description="The quick tests; the flags add slower sets. Anything else goes to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument("--faults", action="store_true", help="also those that kill servers and processes")
    parser.add_argument("--browser", action="store_true", help="also those that drive a real Chromium")
    parser.add_argument("--all", action="store_true", help="everything")
    parser.add_argument("--seed", type=int, help="of the random faults; each run prints the one it had")
    return parser.parse_known_args(arguments)


def _runs(options: argparse.Namespace, arguments: list[str]) -> list[list[str]]:
    """What pytest is called with. Of a whole suite the browser's tests are a run of their own: what a thousand tests
    leave behind in a process, threads and time-outs, is not what they are about."""
    whole = not any(argument.startswith(("-", "tests")) and argument != "-q" for argument in arguments)
    if not (options.browser or options.all) or not whole:
        return [_pytest(options, arguments)]
    rest = argparse.Namespace(
        **{**vars(options), "browser": False, "all": False, "faults": options.faults or options.all}
    )
    # Without somebody there to look, a browser's test that fails is tried once more, and the summary names it.
    again = ["--reruns", "1", "-r", "fER"] if os.environ.get("CI") else []
    return [_pytest(rest, arguments), _pytest(options, ["-m", "browser", *again, *arguments])]


def _pytest(options: argparse.Namespace, arguments: list[str]) -> list[str]:
    left_out = [name for name in ("faults", "browser") if not (options.all or getattr(options, name))]
    made = list(arguments)
    if left_out and "-m" not in arguments:
        made = ["-m", " and ".join(f"not {name}" for name in left_out), *made]
    if not any(argument.startswith(("-n", "tests", "-k", "--lf", "-x")) for argument in arguments):
        made = ["-n", "2", "--dist", "loadfile", *made]  # the whole suite: one process per core of a small machine
    return made


def _ensure_chromium() -> None:
    """Debian's Chromium, when we may install it; else the browser tests say that it is missing."""
    if servers.chromium_program():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        servers.say("Chromium: installing Debian's")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            if subprocess.call(command, env=quiet, stdout=subprocess.DEVNULL):
                break
    if not servers.chromium_program():
        servers.say("Chromium: not installed and not ours to install, so the browser tests are skipped")


def _drop_databases(url: str, prefix: str) -> None:
    """Whatever the run made and did not drop, because it was interrupted or asked to keep it."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
            for (name,) in found.fetchall():
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg.Error as error:
        servers.say(f"The test databases {prefix}* could not be dropped: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
