// Makes the calls that it is told of, one on each line of standard input, by the AWS SDK for JavaScript, and prints
// what came of each as a line of its own. Bytes are {"base64": TEXT} on both sides. Endpoint, region and credentials
// are those of the environment, as for any program on the SDK.

import { createInterface } from "node:readline";
import * as sdk from "@aws-sdk/client-kms";

const kms = new sdk.KMSClient({});
const fromJson = (_, value) => (value?.base64 === undefined ? value : Buffer.from(value.base64, "base64"));
const toJson = (_, value) => (value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : value);

async function outcome({ operation, parameters }) {
  try {
    const { $metadata, ...answer } = await kms.send(new sdk[`${operation}Command`](parameters));
    return { answer, ...facts($metadata) };
  } catch (error) {
    if (!(error instanceof sdk.KMSServiceException)) throw error;
    const { name, message, $fault: fault, constructor } = error;
    return { error: { type: constructor.name, name, message, fault }, ...facts(error.$metadata) };
  }
}

function facts({ requestId, httpStatusCode, attempts }) {
  return { requestId, status: httpStatusCode, attempts };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await outcome(JSON.parse(line, fromJson)), toJson));
}
