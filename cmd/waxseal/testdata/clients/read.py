"""read.py PROTOCOL HOST PORT USER PASSWORD: logs in with imaplib or poplib, counts the messages, and
prints what the server says if it does not let the user in."""
import imaplib
import poplib
import sys

protocol, host, port, user, password = sys.argv[1:]
try:
    if protocol == "imap":
        server = imaplib.IMAP4(host, int(port))
        server.login(user, password)
        print(server.select()[1][0].decode())
    else:
        server = poplib.POP3(host, int(port))
        server.user(user)
        server.pass_(password)
        print(server.stat()[0])
except (imaplib.IMAP4.error, poplib.error_proto, OSError) as e:
    sys.exit(f"{type(e).__module__}.{type(e).__qualname__}: {e}")
