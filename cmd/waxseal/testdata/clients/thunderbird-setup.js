// Does one thing in a Thunderbird that was set up by command, and returns what there is then. Arguments:
// what to do, and what that needs.
const [what, ...rest] = arguments;
const done = rest.pop();
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

async function until(condition) {
  for (;;) {
    const value = condition();
    if (value) {
      return value;
    }
    await new Promise((again) => setTimeout(again, 50));
  }
}

const things = {
  // Stores the password for a server, as if the user had ticked "remember".
  async remember(origin, user, password) {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init(origin, null, origin, user, password, "", "");
    await Services.logins.addLoginAsync(login);
    return [];
  },
  // Gets a user's messages, and returns the subjects of all in the inbox once there is one.
  async read(user) {
    const server = MailServices.accounts.allServers.find((s) => s.username == user);
    const inbox = () => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    const main = await until(() => Services.wm.getMostRecentWindow("mail:3pane")?.msgWindow);
    server.getNewMessages(await until(inbox), main, null);
    await until(() => [...inbox().messages].length);
    return [...inbox().messages].map((m) => m.mime2DecodedSubject);
  },
  // The names of all servers.
  async servers() {
    const out = MailServices.outgoingServer ?? MailServices.smtp;
    return [...MailServices.accounts.allServers.map((s) => s.prettyName), ...out.servers.map((s) => s.description)];
  },
};

things[what](...rest).then(done, (error) => done([`${error}\n${error.stack}`]));
