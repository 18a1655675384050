"""The local stack: MongoDB, Azurite, the queue and the web server on this machine, all on 127.0.0.1.

``machine`` finds tools, ports and processes; ``process`` starts and stops one part; ``parts`` says what the
parts are; ``state`` owns the directory; ``addresses`` keeps it all on this machine; ``stack`` runs the two data
services; ``preparation`` brings the databases up to date; ``supervisor`` runs everything and ``queue_watch`` tells
it about the queue.
"""


class LocalStackError(Exception):
    """Why the local stack cannot start or go on: one sentence for the person at the terminal."""
