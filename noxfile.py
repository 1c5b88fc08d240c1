"""Checks, each in an environment of its own: ``nox`` runs all of them, ``nox -s tests`` one."""

import nox

nox.options.reuse_existing_virtualenvs = True
LOWEST = "tests/lowest-versions.txt"


def install(session: nox.Session, extra: str, versions: str = "constraints.txt") -> None:
    """Install the package from this folder, with an extra."""
    session.install("-c", versions, "-e", f".[{extra}]")


@nox.session
def lint(session: nox.Session) -> None:
    """Style."""
    session.install("-c", "constraints.txt", "ruff")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    install(session, "dev")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests that answer in minutes."""
    install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The exhaustive tests."""
    install(session, "test")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """The tests with the lowest versions that pyproject.toml allows."""
    install(session, "test", LOWEST)
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, without warnings."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict")


@nox.session
def web(session: nox.Session) -> None:
    """The browser decoder: types and tests, in Node.js and, where there is one, Chromium."""
    session.install("-c", "constraints.txt", ".")
    session.chdir("web")
    for command in ("ci", "run check", "run demo", "test", "run test:browser"):
        session.run("npm", *command.split(), external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """A few commands of the bench on the example, to see that they run."""
    install(session, "bench")
    for command in (("speed", "--sizes", "64x64", "--threads", "1"), ("budgets", "docs/example.jpg", "--count", "2"),
                    ("grey", "docs/example.jpg"), ("soak", "--minutes", "0.1")):
        session.run("python", "-m", "bench", *command)
