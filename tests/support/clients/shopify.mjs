// Drives the sandbox's Shopify with Shopify's own client, and prints what the client made of it as JSON.
//
//   node shopify.mjs CONTROL       the base URL of the sandbox's control address
//
// The client speaks to https://SHOP.myshopify.com only, so its requests are sent to the sandbox's address instead; nothing
// else of it is changed.
import '@shopify/shopify-api/adapters/node';
import { createServer } from 'node:http';
import { setAbstractFetchFunc } from '@shopify/shopify-api/runtime';
import { ApiVersion, GraphqlQueryError, LogSeverity, Session, shopifyApi } from '@shopify/shopify-api';

const control = process.argv[2];
const ask = async (path, body) => {
  const request = body ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
  const answer = await fetch(`${control}/${path}`, request);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

const systems = (await ask('systems')).shopify;
setAbstractFetchFunc((url, init) => fetch(String(url).replace(`https://${systems.shop}`, systems.base_url), init));

const connect = (apiSecretKey) =>
  shopifyApi({
    apiKey: systems.client_id,
    apiSecretKey,
    apiVersion: ApiVersion.October26,
    hostName: 'evenkeel.invalid',
    isEmbeddedApp: false,
    logger: { level: LogSeverity.Error },
  });
const shopify = connect(systems.client_secret);

const refused = async (work) => {
  try {
    await work();
  } catch (error) {
    return { name: error.constructor.name, status: error.response?.code, message: error.message };
  }
  return null;
};

// The client credentials grant, with the right secret and with a wrong one.
const { session } = await shopify.auth.clientCredentials({ shop: systems.shop });
const grant = { scope: session.scope, expires: session.expires instanceof Date, token: session.accessToken.length > 0 };
const wrongSecret = await refused(() => connect('wrong').auth.clientCredentials({ shop: systems.shop }));

// Queries and mutations.
const graphql = new shopify.clients.Graphql({ session });
const foreign = new shopify.clients.Graphql({ session: new Session({ ...session, accessToken: 'wrong' }) });
const wrongToken = await refused(() => foreign.request('{ shop { id } }'));
const items = await graphql.request(
  `query ($location: ID!) {
    inventoryItems(first: 3) {
      nodes { id sku tracked inventoryLevel(locationId: $location) { quantities(names: ["available"]) { quantity } } }
      pageInfo { hasNextPage }
    }
  }`,
  { variables: { location: `gid://shopify/Location/${systems.location_id}` } },
);
const [item] = items.data.inventoryItems.nodes;
const before = item.inventoryLevel.quantities[0].quantity;
const set = async (changeFromQuantity, quantity, key) => {
  const input = {
    name: 'available',
    reason: 'correction',
    quantities: [
      { inventoryItemId: item.id, locationId: `gid://shopify/Location/${systems.location_id}`, quantity, changeFromQuantity },
    ],
  };
  const answer = await graphql.request(
    `mutation ($input: InventorySetQuantitiesInput!, $key: String!) {
      inventorySetQuantities(input: $input) @idempotent(key: $key) {
        inventoryAdjustmentGroup { id }
        userErrors { code field message }
      }
    }`,
    { variables: { input, key } },
  );
  const { inventoryAdjustmentGroup: group, userErrors } = answer.data.inventorySetQuantities;
  return { done: group !== null, codes: userErrors.map((error) => error.code), cost: answer.extensions.cost !== undefined };
};
const applied = await set(before, before + 1, 'key-1');
const stale = await set(before, before + 2, 'key-2');
const unkeyed = await refused(() =>
  graphql.request('mutation ($input: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $input) { userErrors { code } } }', {
    variables: { input: { name: 'available', reason: 'correction', quantities: [] } },
  }),
);
const unknownField = await (async () => {
  try {
    await graphql.request('{ shop { nonsense } }');
  } catch (error) {
    return { graphql: error instanceof GraphqlQueryError };
  }
  return null;
})();

// A webhook as it is sent, and what the client says of it, of a body that was changed, and of another secret.
const delivery = await new Promise((done, failed) => {
  const server = createServer((rawRequest, rawResponse) => {
    const parts = [];
    rawRequest.on('data', (part) => parts.push(part));
    rawRequest.on('end', async () => {
      try {
        const rawBody = Buffer.concat(parts).toString('utf8');
        const validate = (by, body) => by.webhooks.validate({ rawBody: body, rawRequest, rawResponse });
        const told = {
          genuine: await validate(shopify, rawBody),
          changed: await validate(shopify, `${rawBody} `),
          otherSecret: await validate(connect('wrong'), rawBody),
          body: Object.keys(JSON.parse(rawBody)),
        };
        rawResponse.writeHead(200).end();
        server.close();
        done(told);
      } catch (error) {
        failed(error);
      }
    });
  });
  server.listen(0, '127.0.0.1', async () => {
    try {
      await ask('webhooks', { url: `http://127.0.0.1:${server.address().port}/` });
      await ask('order', { channel: 'shopify', lines: [{ sku: item.sku, quantity: 1 }] });
    } catch (error) {
      failed(error);
    }
  });
});
await ask('webhooks', { url: null });

console.log(
  JSON.stringify({
    grant,
    wrongSecret,
    wrongToken,
    items: items.data.inventoryItems.nodes.map(({ id, sku, tracked }) => ({ id, sku, tracked })),
    applied,
    stale,
    unkeyed,
    unknownField,
    delivery,
  }),
);
process.exit(0);
