// fetch.mjs PROTOCOL HOST PORT SECURITY USER PASSWORD OUT: saves all messages, with imapflow or
// node-pop3. NODE_EXTRA_CA_CERTS names the certificate.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRequire } from 'node:module';

const [protocol, host, port, security, user, password, out] = process.argv.slice(2);
const require = createRequire(join(process.env.MODULES, 'index.js'));
const save = (name, data) => writeFileSync(join(out, name), data);
mkdirSync(out);

async function imap() {
  const { ImapFlow } = require('imapflow');
  const client = new ImapFlow({
    host, port: Number(port), secure: security == 'TLS', doSTARTTLS: security == 'STARTTLS', logger: false,
    auth: { user, pass: password },
  });
  await client.connect();
  for (const box of await client.list()) {
    const lock = await client.getMailboxLock(box.path, { readOnly: true });
    try {
      for await (const m of client.fetch(client.mailbox.exists ? '1:*' : [], { uid: true, flags: true, internalDate: true, source: true, envelope: true, bodyStructure: true })) {
        const { source, flags, seq, modseq, id, ...rest } = m;
        save(`${box.path}-${m.uid}`, source);
        save(`${box.path}-${m.uid}.json`, JSON.stringify({ ...rest, flags: [...flags].sort() }));
      }
    } finally {
      lock.release();
    }
  }
  await client.logout();
}

async function pop() {
  const loaded = require('node-pop3');
  const Pop3Command = loaded.default ?? loaded;
  const client = new Pop3Command({ user, password, host, port: Number(port), tls: security == 'TLS', servername: host });
  for (const [number, uid] of await client.UIDL()) {
    save(uid, await client.RETR(number));
  }
  await client.QUIT();
}

await { imap, pop }[protocol]();
