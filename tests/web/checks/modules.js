/** The modules that are checked; the tests serve this with the address that they have in the page. */

export { Backoff } from "../../../chat_service/web/assets/backoff.js";
export { parse } from "../../../chat_service/web/assets/commands.js";
export { Conversation, asItem } from "../../../chat_service/web/assets/conversation.js";
export { Refused } from "../../../chat_service/web/assets/contract.js";
export { format, mentions } from "../../../chat_service/web/assets/format.js";
export { isContinued, newDay } from "../../../chat_service/web/assets/grouping.js";
export { Identity } from "../../../chat_service/web/assets/identity.js";
export { Outgoing } from "../../../chat_service/web/assets/outgoing.js";
export { Session } from "../../../chat_service/web/assets/session.js";
export { own } from "../../../chat_service/web/assets/storage.js";
