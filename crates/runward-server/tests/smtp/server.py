"""A mail server for tests: SMTP on loopback with TLS and logins, mail into a Maildir.

server.py starttls|implicit|plain MAILBOX CERTIFICATE KEY

Prints its port. Says what it thinks of a recipient by the name: later@… is refused for now three times, never@… for good,
and with slow@… it takes its time.
"""

import asyncio
import socket
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER = (b"runward", b"correct horse")


class Handler(Mailbox):
    refused = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "later" and Handler.refused < 3:
            Handler.refused += 1
            return "451 4.7.1 come back later"
        if name == "never":
            return "550 5.1.1 there is nobody of this name"
        if name == "slow":
            await asyncio.sleep(30)
        envelope.rcpt_tos.append(address)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == USER
    return AuthResult(success=good, handled=good)


async def main(how, mailbox, certificate, key):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    handler = Handler(mailbox)
    options = {"enable_SMTPUTF8": True}
    if how == "starttls":
        options |= {"tls_context": tls, "require_starttls": True}
    if how != "plain":
        options |= {"authenticator": authenticate, "auth_required": True}
    # Where TLS stands around everything, the protocol itself does not know of it.
    options["auth_require_tls"] = how == "starttls"
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, **options), sock=listener, ssl=tls if how == "implicit" else None
    )
    print(listener.getsockname()[1], flush=True)
    async with server:
        # Whoever started this holds the other end, and lets go of it when it ends.
        await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
