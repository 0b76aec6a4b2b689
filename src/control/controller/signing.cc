#include "control/controller/signing.h"

#include "control/controller/issue.h"

namespace orrery::control {

SignedConfig sign(const crypto::SecretIdentity& controller, const ConfigJob& job) {
  const ConfigDraft& draft = job.draft;
  const ByteVector dictionary = wire::encode_network_config(issue(controller, draft));
  return {draft.network,
          draft.identity.address,
          job.epoch,
          job.mark,
          draft.stamp,
          job.in_reply_to,
          sign_chunks(controller, draft.network, dictionary, job.update)};
}

}  // namespace orrery::control
