"""What the queue calls. A second delivery does nothing."""


def run_activity(activity_id: str) -> str | None:
    """``light`` cluster: do one piece of background work to its end."""
    from datasets.activities import run

    return run(activity_id)
