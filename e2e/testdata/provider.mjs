// A real OpenID provider for the end-to-end tests. It listens on 127.0.0.1, on a port that the system
// picks, and prints one JSON object per line: first its issuer, then each request it has answered and
// each grant it has made. The tests learn from those lines what happened; the tokens in them are
// worthless anywhere else.
//
// It reads access tokens from its standard input, one per line, and makes them invalid, because its
// revocation endpoint would end the whole grant. It ends when its standard input is closed, so that it
// cannot outlive the tests.
import http from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const tell = (event) => console.log(JSON.stringify(event));
const scope = 'openid email offline_access smtp.send mail.imap mail.pop';

// The access tokens of "short" live for two seconds, the codes of "hasty" for one second and its
// device codes for six.
const lives = {
  AccessToken: { short: 2, '': 3600 },
  AuthorizationCode: { hasty: 1, '': 60 },
  DeviceCode: { hasty: 6, '': 300 },
};
const life = (kind) => (ctx, token, client) => lives[kind][client?.clientId] ?? lives[kind][''];

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      ...['desktop', 'short', 'hasty'].map((client_id) => ({
        client_id, scope, application_type: 'native', token_endpoint_auth_method: 'none', response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'], // any port: RFC 8252 section 7.3
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      })),
      { client_id: 'mailserver', client_secret: 'mailserver-secret', grant_types: [], response_types: [], redirect_uris: [] },
    ],
    scopes: scope.split(' '),
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false, // the address is in the ID token, as at Google
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: id, email_verified: true }) }),
    features: {
      devInteractions: { enabled: true }, // its own pages: any login, any password
      introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'mailserver' },
      revocation: { enabled: true },
      deviceFlow: { enabled: true },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client, code) => code.scopes.has('offline_access'),
    ttl: {
      AccessToken: life('AccessToken'), AuthorizationCode: life('AuthorizationCode'), DeviceCode: life('DeviceCode'),
      RefreshToken: 86400, Session: 3600, Grant: 86400, Interaction: 600, IdToken: 3600,
    },
    cookies: { keys: ['test'] },
    clientBasedCORS: () => false,
  });
  provider.on('grant.success', (ctx) => tell({
    event: 'grant', type: ctx.oidc.params.grant_type, client: ctx.oidc.client.clientId,
    account: ctx.oidc.entities.Account?.accountId, spent: ctx.oidc.params.refresh_token, scope: ctx.body.scope,
    access: ctx.body.access_token, refresh: ctx.body.refresh_token,
  }));
  provider.on('grant.error', (ctx, err) => tell({
    event: 'refusal', type: ctx.oidc?.params?.grant_type, client: ctx.oidc?.client?.clientId, error: err.error, detail: err.error_detail,
  }));
  provider.on('authorization_code.saved', ({ clientId, accountId, expiration }) => {
    if (clientId === 'hasty') setTimeout(() => tell({ event: 'expired', account: accountId }), (expiration + 1) * 1000);
  });
  provider.on('server_error', (ctx, err) => tell({ event: 'fault', error: String(err.stack) }));
  provider.use(async (ctx, next) => {
    await next();
    tell({ event: 'request', method: ctx.method, path: ctx.path, status: ctx.status, account: ctx.oidc?.entities?.Account?.accountId });
  });
  server.on('request', provider.callback());
  tell({ event: 'ready', issuer });

  createInterface({ input: process.stdin })
    .on('line', async (token) => {
      await (await provider.AccessToken.find(token)).destroy();
      tell({ event: 'ended', access: token });
    })
    .on('close', () => process.exit(0));
});
