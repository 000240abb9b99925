// Writes one message and sends it, as its user would; answers the dialogs that
// come, and tells what each said. Arguments: recipient, text, file to attach or
// "", password to type, certificate to accept or "", host and port it is for.
const [to, body, attachment, password, certificate, host, port] = arguments;
const done = arguments[arguments.length - 1];
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const create = (contract, type) => Cc[contract].createInstance(type);
const service = (contract, type) => Cc[contract].getService(type);
const windows = () => [...Services.wm.getEnumerator(null)].filter((w) => w.document.readyState == "complete");

async function until(condition) {
  for (;;) {
    const value = condition();
    if (value) {
      return value;
    }
    await new Promise((again) => setTimeout(again, 50));
  }
}

// "Confirm Security Exception".
function accept() {
  const parsed = service("@mozilla.org/security/x509certdb;1", Ci.nsIX509CertDB).constructX509FromBase64(certificate);
  service("@mozilla.org/security/certoverride;1", Ci.nsICertOverrideService).rememberValidityOverride(host, port, {}, parsed, false);
}

async function write() {
  const fields = create("@mozilla.org/messengercompose/composefields;1", Ci.nsIMsgCompFields);
  fields.to = to;
  fields.subject = "From Thunderbird";
  fields.body = body;
  if (attachment) {
    const file = create("@mozilla.org/messengercompose/attachment;1", Ci.nsIMsgAttachment);
    file.url = "file://" + attachment;
    file.name = "attachment.bin";
    file.contentType = "application/octet-stream";
    fields.addAttachment(file);
  }
  const params = create("@mozilla.org/messengercompose/composeparams;1", Ci.nsIMsgComposeParams);
  params.identity = MailServices.accounts.allIdentities[0];
  params.composeFields = fields;
  params.format = Ci.nsIMsgCompFormat.PlainText;
  MailServices.compose.OpenComposeWindowWithParams(null, params);
  return until(() => windows().find((w) => w.gMsgCompose?.editor && w.gLoadingComplete !== false && !w.gWindowLocked));
}

// Password prompts are given the password; what offers a choice is cancelled.
function answer(window, said) {
  const document = window.document;
  const text = document.getElementById("infoBody")?.textContent;
  if (window.answered || !text) {
    return;
  }
  window.answered = true;
  const dialog = document.getElementById("commonDialog");
  const buttons = ["accept", "cancel", "extra1", "extra2"].map((b) => dialog.getButton(b)).filter((b) => b && !b.hidden);
  said.push(`${document.title}: ${text} [${buttons.map((b) => b.label).join("] [")}]`);
  const ask = document.getElementById("password1Textbox");
  if (document.title == "Confirm") { // so large a message
    dialog.getButton("accept").click();
  } else if (document.title.startsWith("Password Required")) {
    ask.value = password;
    dialog.getButton("accept").click();
  } else {
    dialog.getButton(dialog.getButton("cancel").hidden ? "accept" : "cancel").click();
  }
}

async function send() {
  if (certificate) {
    accept();
  }
  const composing = await write();
  const said = [];
  composing.goDoCommand("cmd_sendNow");
  await until(() => {
    const dialogs = windows().filter((w) => w.location.href.startsWith("chrome://global/content/commonDialog"));
    dialogs.forEach((w) => answer(w, said));
    const failed = said.some((text) => text.startsWith("Send Message Error"));
    return composing.closed || (failed && !dialogs.length && !composing.gSendOperationInProgress);
  });
  const sent = composing.closed;
  if (!sent) {
    composing.gContentChanged = false;
    composing.gMsgCompose.bodyModified = false;
    composing.close();
  }
  return { sent, said };
}

send().then(done, (error) => done({ sent: false, said: [`${error}\n${error.stack}`] }));
