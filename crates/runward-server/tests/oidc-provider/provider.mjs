// An identity provider on a port of its own. It prints the port, and ends with its standard input.
//
// Whoever logs in as `ada` is in the group `ops`; `mallory` has an address that nobody has verified.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [, , redirect] = process.argv;

function account(login) {
  return {
    accountId: login,
    claims: () => ({
      sub: login,
      email: `${login}@example.com`,
      email_verified: login !== "mallory",
      groups: login === "ada" ? ["ops"] : ["dev"],
    }),
  };
}

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      {
        client_id: "runward",
        client_secret: "of the tests: not a secret",
        redirect_uris: [redirect],
        grant_types: ["authorization_code"],
      },
    ],
    claims: { email: ["email", "email_verified"], groups: ["groups"] },
    scopes: ["openid", "email", "profile", "groups"],
    cookies: { keys: ["of the tests"] },
    findAccount: (_, login) => account(login),
    pkce: { required: () => true },
  });
  server.on("request", provider.callback());
  console.log(port);
});

process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
