const nodemailer = require("nodemailer");
const fs = require("fs");
const [host, port, security, auth, user, pass, to, file, cert] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host, port, secure: security === "TLS", requireTLS: security === "STARTTLS", ignoreTLS: security === "clear",
  authMethod: auth || undefined, auth: { user, pass }, tls: cert ? { ca: fs.readFileSync(cert) } : {},
});
transport.sendMail({ envelope: { from: user, to }, raw: fs.readFileSync(file) })
  .then((info) => console.log(info.response), (err) => { console.error(err.message); process.exit(1); });
