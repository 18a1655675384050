"""The local stack: MongoDB, Azurite, the queue and the web server on this machine, all on 127.0.0.1.

``machine`` finds tools, ports and processes; ``process`` starts and stops one part; ``parts`` says what the
parts are; ``state`` owns the directory; ``stack`` runs the two data services; ``supervisor`` runs everything.
"""


class LocalStackError(Exception):
    """Why the local stack cannot start or go on: one sentence for the person at the terminal."""
