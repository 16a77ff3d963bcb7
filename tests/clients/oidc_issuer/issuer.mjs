// An OpenID Connect provider for tests: `node issuer.mjs PORT PEOPLE.json`.
//
// Its users are those of the file, by their names, with the claims that the file gives to each; any
// password will do. It says where it listens in its first line. POST /test/rotate has another key
// sign and publishes both, POST /test/withdraw publishes that one alone.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';

import Provider from 'oidc-provider';

const [port, file] = process.argv.slice(2);
const people = JSON.parse(readFileSync(file, 'utf8'));
const claims = [...new Set(Object.values(people).flatMap(Object.keys))];

const newKey = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = randomBytes(8).toString('hex');
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
};

const client = (id) => ({
  client_id: id,
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  token_endpoint_auth_method: 'none',
});

const keys = [newKey()];
const cookieKeys = [randomBytes(16).toString('hex')];
const server = createServer();
server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = () => new Provider(issuer, {
  clients: [client('tidegate'), client('tidegate-ci'), client('another')],
  claims: { openid: ['sub', ...claims] },
  conformIdTokenClaims: false, // every claim in the ID token
  cookies: { keys: cookieKeys },
  findAccount: (_, id) => id in people && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  jwks: { keys: [...keys] },
  pkce: { required: () => true },
  ttl: { IdToken: 300, Interaction: 300, Session: 300, Grant: 300, AccessToken: 300 },
}).callback();

let answer = provider();

server.on('request', (request, response) => {
  if (request.method !== 'POST' || !request.url.startsWith('/test/')) {
    answer(request, response);
    return;
  }
  if (request.url === '/test/rotate') keys.unshift(newKey());
  if (request.url === '/test/withdraw') keys.splice(1);
  answer = provider();
  response.end();
});

console.log(issuer);
