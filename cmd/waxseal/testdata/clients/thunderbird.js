// Writes one message and sends it, as a user would; answers the dialogs that appear, and returns what
// each one said. Arguments: recipient, text, file to attach or "", password to type, and whether to
// accept a certificate that is not trusted and send the message again.
const [to, body, attachment, password, trust] = arguments;
const done = arguments[arguments.length - 1];
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const create = (contract, type) => Cc[contract].createInstance(type);
const windows = () => [...Services.wm.getEnumerator(null)].filter((w) => w.document.readyState == "complete");

// Waits until a condition holds; after three minutes it fails and says which windows there are.
async function until(condition) {
  for (const end = Date.now() + 180_000; ; ) {
    const value = condition();
    if (value) {
      return value;
    }
    if (Date.now() > end) {
      const all = windows().map((w) => `${w.location.href} "${w.document.title}"`);
      throw new Error(`waited in vain for ${condition}; there are ${all.join(", ")}`);
    }
    await new Promise((again) => setTimeout(again, 50));
  }
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

// Types the password into password prompts, and cancels dialogs that offer a choice.
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
  if (document.title == "Confirm") { // about the size of the message
    dialog.getButton("accept").click();
  } else if (document.title.startsWith("Password Required")) {
    ask.value = password;
    dialog.getButton("accept").click();
  } else {
    dialog.getButton(dialog.getButton("cancel").hidden ? "accept" : "cancel").click();
  }
}

// The dialog that appears by itself if the certificate is not trusted.
const exception = () => windows().find((w) => w.location.href.startsWith("chrome://pippki/content/exceptionDialog"));

async function accept(said) {
  const dialog = await until(exception);
  const button = dialog.document.getElementById("exceptiondialog").getButton(trust ? "extra1" : "cancel");
  await until(() => !button.disabled);
  said.push(`${dialog.document.title} [${button.label}]`);
  button.click();
  await until(() => dialog.closed);
  if (trust) {
    const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService).getOverrides();
    said.push(...overrides.map((o) => `accepted for ${o.hostPort}: ${o.fingerprint}`));
  }
}

async function sendOnce(composing, said) {
  const before = said.length;
  composing.goDoCommand("cmd_sendNow");
  await until(() => {
    const dialogs = windows().filter((w) => w.location.href.startsWith("chrome://global/content/commonDialog"));
    dialogs.forEach((w) => answer(w, said));
    const failed = said.slice(before).some((text) => text.startsWith("Send Message Error"));
    return composing.closed || (failed && !dialogs.length && !composing.gSendOperationInProgress);
  });
  return composing.closed;
}

async function send() {
  const composing = await write();
  const said = [];
  let sent = await sendOnce(composing, said);
  if (said.some((text) => text.includes("The certificate is not trusted"))) {
    await accept(said);
    sent = trust && (await sendOnce(composing, said));
  }
  if (!sent) {
    composing.gContentChanged = false;
    composing.gMsgCompose.bodyModified = false;
    composing.close();
  }
  return { sent, said };
}

send().then(done, (error) => done({ sent: false, said: [`${error}\n${error.stack}`] }));
