// Verifies posts as a family's JavaScript would: an array of {secret, headers, body} comes in, and for each the
// type of its message goes out, or the name of what is wrong with it.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const verdicts = JSON.parse(readFileSync(0, "utf-8")).map(({ secret, headers, body }) => {
  try {
    return new Webhook(secret).verify(body, headers).type;
  } catch (error) {
    return error.constructor.name;
  }
});
console.log(JSON.stringify(verdicts));
