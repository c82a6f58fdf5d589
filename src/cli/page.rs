//! What `quickstart` prints when it is ready: a page for a person, or one line of JSON for a script.

use super::quickstart::Quickstart;
use crate::app::Listening;

/// One line: everything a script needs to call the gateway.
pub(super) fn json(made: &Quickstart, listening: Listening) -> String {
    let line = serde_json::json!({
        "endpoint": format!("http://{}", listening.gateway),
        "admin": format!("http://{}", listening.admin),
        "region": made.regions.own().as_str(),
        "account": made.account.as_str(),
        "principal": made.principal,
        "accessKeyId": made.access_key_id,
        "secretAccessKey": made.secret.expose(),
        "keyId": made.key.id().as_str(),
        "keyArn": made.key.as_str(),
        "alias": made.alias,
    });
    format!("{line}\n")
}

/// A short page with lines to copy.
pub(super) fn page(made: &Quickstart, listening: Listening) -> String {
    let Quickstart { regions, principal, access_key_id, alias, .. } = made;
    let region = regions.own();
    let (secret, key, data_dir) = (made.secret.expose(), made.key.as_str(), made.data_dir.display());
    let Listening { gateway, admin } = listening;
    format!(
        r#"
kmsgate is ready.

  endpoint            http://{gateway}
  probes              http://{admin}/livez and /readyz
  key                 {key}
  alias               {alias}
  principal           {principal}
  access key id       {access_key_id}
  secret access key   {secret}
  data                {data_dir} (keys, credentials, policies/quickstart.json, audit.jsonl)

With the AWS CLI or any AWS SDK:

  export AWS_ENDPOINT_URL_KMS=http://{gateway} AWS_REGION={region} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID={access_key_id} AWS_SECRET_ACCESS_KEY={secret}
  aws kms generate-data-key-without-plaintext --key-id {alias} --key-spec AES_256 \
      --encryption-context tenant=blue

With curl:

  curl --aws-sigv4 aws:amz:{region}:kms --user "{access_key_id}:{secret}" \
      -H 'Content-Type: application/x-amz-json-1.1' \
      -H 'X-Amz-Target: TrentService.GenerateDataKeyWithoutPlaintext' \
      -d '{{"KeyId":"{alias}","KeySpec":"AES_256","EncryptionContext":{{"tenant":"blue"}}}}' \
      http://{gateway}/

Ctrl-C stops it. Requests, as they come:

"#
    )
}
