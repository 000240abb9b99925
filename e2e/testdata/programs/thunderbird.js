// Does one thing in Thunderbird, and returns what there is then. Arguments: what to do, and what that
// needs.
const [what, ...rest] = arguments;
const done = rest.pop();
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const create = (contract, type) => Cc[contract].createInstance(type);
const windows = () => [...Services.wm.getEnumerator(null)].filter((w) => w.document.readyState == "complete");
const account = MailServices.accounts.accounts.find((a) => a.incomingServer.type != "none");
const server = account.incomingServer;
const root = server.rootFolder;

async function until(condition) {
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    await new Promise((again) => setTimeout(again, 50));
  }
}

// Stores the password for reading and sending, as if the user had ticked "remember".
async function remember(password, smtpHost) {
  const add = (origin) => {
    const login = create("@mozilla.org/login-manager/loginInfo;1", Ci.nsILoginInfo);
    login.init(origin, null, origin, server.username, password, "", "");
    return Services.logins.addLoginAsync(login);
  };
  await add(`${server.type == "pop3" ? "mailbox" : "imap"}://${server.hostname ?? server.hostName}`);
  await add(`smtp://${smtpHost}`);
  return true;
}

const listened = (start) => new Promise((resolve) => {
  start({ OnStartRunningUrl() {}, OnStopRunningUrl: (url, status) => resolve(status),
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {}, onStopCopy: (status) => resolve(status),
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]) });
});

const mainWindow = () => windows().find((w) => w.location.href == "chrome://messenger/content/messenger.xhtml")?.msgWindow;
const inboxFolder = () => root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox) ?? root.getChildNamed("INBOX");

async function fetchNew() {
  const window = await until(mainWindow);
  if (server.type == "pop3") {
    await listened((l) => MailServices.pop3.GetNewMail(window, l, inboxFolder(), server));
    return;
  }
  await listened((l) => inboxFolder().getNewMessages(window, l));
  await until(() => folder("Archive"));
}

const folder = (name) => root.descendants.find((f) => f.name.toLowerCase() == name.toLowerCase());

// The bytes of a message.
function source(header) {
  const uri = header.folder.getUriForMsg(header);
  return new Promise((resolve, reject) => {
    let data = "";
    MailServices.messageServiceFromURI(uri).streamMessage(uri, {
      onStartRequest() {},
      onDataAvailable(request, stream, offset, count) {
        const s = create("@mozilla.org/binaryinputstream;1", Ci.nsIBinaryInputStream);
        s.setInputStream(stream);
        data += s.readBytes(count);
      },
      onStopRequest: (request, status) => (status ? reject(new Error(`${uri}: ${status}`)) : resolve(data)),
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
    }, null, null, false, "", false);
  });
}

async function sha256(data) {
  const bytes = Uint8Array.from(data, (c) => c.charCodeAt(0));
  const hash = create("@mozilla.org/security/hash;1", Ci.nsICryptoHash);
  hash.init(Ci.nsICryptoHash.SHA256);
  hash.update(bytes, bytes.length);
  return [...hash.finish(false)].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

// Lists all messages, each with its hash.
async function list() {
  const all = [];
  for (const f of root.descendants) {
    if (server.type == "imap") {
      await listened((l) => f.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(mainWindow(), l));
    }
    for (const header of f.messages) {
      const marks = [header.isRead && "read", header.isFlagged && "flagged"].filter(Boolean).join(" ");
      const data = await source(header);
      all.push(`${f.name} ${header.messageId} ${marks} ${data.length} ${await sha256(data)}`);
    }
  }
  return all.sort();
}

const things = {
  remember,
  async read() {
    await fetchNew();
    return list();
  },
  // Starts a login and returns what alerts say within two seconds after the first of them. A dialog ends
  // the script.
  async login() {
    const said = [];
    MailServices.mailSession.addUserFeedbackListener({
      onAlert: (text) => said.push(text),
      QueryInterface: ChromeUtils.generateQI(["nsIMsgUserFeedbackListener"]),
    });
    server.getNewMessages(inboxFolder(), await until(mainWindow), null);
    for (let left = 400; left > 0; left = said.length ? Math.min(left - 1, 40) : left - 1) {
      await new Promise((again) => setTimeout(again, 50));
    }
    return said;
  },
  async change() {
    const inbox = inboxFolder();
    const [a, b, c, d] = [...inbox.messages].sort((x, y) => x.messageKey - y.messageKey);
    inbox.markMessagesRead([a], true);
    inbox.markMessagesFlagged([b], true);
    await listened((l) => MailServices.copy.copyMessages(inbox, [c], folder("Archive"), true, l, null, false));
    await listened((l) => MailServices.copy.copyMessages(inbox, [d], folder("Archive"), false, l, null, false));
    return true;
  },
  // Waits for a message to appear by itself.
  async pushed(subject) {
    await until(() => [...inboxFolder().messages].some((m) => m.mime2DecodedSubject == subject));
    return true;
  },
  async send(to, subject) {
    const fields = create("@mozilla.org/messengercompose/composefields;1", Ci.nsIMsgCompFields);
    fields.to = to;
    fields.subject = subject;
    fields.body = "Grüße\n";
    const params = create("@mozilla.org/messengercompose/composeparams;1", Ci.nsIMsgComposeParams);
    params.identity = MailServices.accounts.allIdentities[0];
    params.composeFields = fields;
    params.format = Ci.nsIMsgCompFormat.PlainText;
    MailServices.compose.OpenComposeWindowWithParams(null, params);
    const w = await until(() => windows().find((x) => x.gMsgCompose?.editor && x.gLoadingComplete !== false && !x.gWindowLocked));
    w.goDoCommand("cmd_sendNow");
    await until(() => w.closed);
    return true;
  },
};

things[what](...rest).then(done, (error) => done([`${error}\n${error.stack}`]));
