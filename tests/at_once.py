"""Names a failed test at once, as a pytest plugin: a run that is cut short still says which they were."""

import os

import pytest


class AtOnce:
    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        why = crash.message.partition("\n")[0] if crash else ""
        part = "" if report.when == "call" else f" ({report.when})"
        self.terminal.line("")
        self.terminal.write_line(f"FAILED {report.nodeid}{part} {why}"[:300], red=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    # Workers of xdist report to the process that started them.
    if terminal is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        session.config.pluginmanager.register(AtOnce(terminal), "failures-at-once")
