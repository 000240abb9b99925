# As people write it. login() tries PLAIN before LOGIN, so hiding the other one chooses the mechanism.
import smtplib, ssl, sys
host, port, security, auth, user, password, to, file, certificate = sys.argv[1:10]
context = ssl.create_default_context(cafile=certificate or None)
if security == "TLS":
    s = smtplib.SMTP_SSL(host, int(port), context=context)
else:
    s = smtplib.SMTP(host, int(port))
if security == "STARTTLS":
    s.starttls(context=context)
s.ehlo()
if auth:
    s.esmtp_features["auth"] = auth
s.login(user, password)
options = ["BODY=8BITMIME"] + ([] if to.isascii() else ["SMTPUTF8"])
s.sendmail(user, [to], open(file, "rb").read().replace(b"\n", b"\r\n"), mail_options=options)
s.quit()
