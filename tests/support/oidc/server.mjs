// A certified OpenID Connect provider for tests: node server.mjs PORT REDIRECT_URI. OIDC_PEER names the folder of node_modules.
const { default: Provider } = await import(`${process.env.OIDC_PEER}/node_modules/oidc-provider/lib/index.js`);
const [port, redirectUri] = process.argv.slice(2);

const client = {
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token'],
  post_logout_redirect_uris: [redirectUri],
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { ...client, client_id: 'squall', client_secret: 'a secret with +/%: in it' },
    { ...client, client_id: 'public', token_endpoint_auth_method: 'none', application_type: 'native' },
    { ...client, client_id: 'elliptic', client_secret: 'e', id_token_signed_response_alg: 'ES256' },
  ],
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, name: `The ${id}` }),
  }),
  claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
  scopes: ['openid', 'offline_access', 'email', 'profile'],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256'] },
  cookies: { keys: ['of a test'] },
  issueRefreshToken: async () => true,
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  jwks: JSON.parse(process.env.OIDC_JWKS),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
