"""fetch.py PROTOCOL HOST PORT SECURITY USER PASSWORD OUT: saves all messages, with imaplib or poplib."""
import imaplib
import os
import poplib
import re
import ssl
import sys

protocol, host, port, security, user, password, out = sys.argv[1:]
os.makedirs(out)
context = ssl.create_default_context()  # SSL_CERT_FILE names the certificate


def save(name, data):
    with open(os.path.join(out, name), "wb") as f:
        f.write(data)


def imap():
    if security == "TLS":
        server = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
    else:
        server = imaplib.IMAP4(host, int(port))
        if security == "STARTTLS":
            server.starttls(context)
    server.login(user, password)
    for line in server.list()[1]:
        name = line.decode().rsplit(" ", 1)[1].strip('"')
        server.select(name, readonly=True)
        for uid in server.uid("SEARCH", "ALL")[1][0].split():
            (head, data), rest = server.uid("FETCH", uid, "(FLAGS INTERNALDATE BODY.PEEK[])")[1][:2]
            save(f"{name}-{uid.decode()}", re.sub(rb"^\d+ ", b"", head) + b"\n" + data + rest)
    server.logout()


def pop():
    if security == "TLS":
        server = poplib.POP3_SSL(host, int(port), context=context)
    else:
        server = poplib.POP3(host, int(port))
        if security == "STARTTLS":
            server.stls(context)
    server.user(user)
    server.pass_(password)
    poplib._MAXLINE = 1 << 20
    for line in server.uidl()[1]:
        number, uid = line.decode().split()
        save(uid, b"\n".join(server.retr(int(number))[1]))
    save("stat", repr((server.stat(), server.list(), server.top(1, 3))).encode())
    server.quit()


{"imap": imap, "pop": pop}[protocol]()
