//! The members of the operations on custom key stores. Passwords and credentials are secrets.

use aws_sdk_kms::types::{CustomKeyStoreType, XksProxyConnectivityType};

use super::super::pattern::{self, Pattern};
use super::{CUSTOM_KEY_STORE_ID, Field, LIMIT, MARKER, Need, Shape, patterned, text};
use crate::aws::Member;

const STORE_ID: Field = CUSTOM_KEY_STORE_ID.needed(Need::Required);
const STORE_NAME: Shape = text(1, 256);
const CLOUD_HSM_CLUSTER_ID: Field = Field::optional(Member::CloudHsmClusterId, patterned(19, 24, &pattern::CLUSTER));
const KEY_STORE_PASSWORD: Field =
    Field::optional(Member::KeyStorePassword, Shape::Secret { min: 7, max: 32, pattern: None });
const XKS_PROXY_URI_ENDPOINT: Field =
    Field::optional(Member::XksProxyUriEndpoint, patterned(10, 128, &pattern::XKS_ENDPOINT));
const XKS_PROXY_URI_PATH: Field = Field::optional(Member::XksProxyUriPath, patterned(10, 128, &pattern::XKS_PATH));
const XKS_PROXY_VPC_ENDPOINT_SERVICE_NAME: Field =
    Field::optional(Member::XksProxyVpcEndpointServiceName, patterned(20, 64, &pattern::VPC_ENDPOINT_SERVICE));
const XKS_PROXY_VPC_ENDPOINT_SERVICE_OWNER: Field =
    Field::optional(Member::XksProxyVpcEndpointServiceOwner, patterned(12, 12, &pattern::ACCOUNT));
const XKS_PROXY_AUTHENTICATION_CREDENTIAL: Field = Field::optional(
    Member::XksProxyAuthenticationCredential,
    Shape::Structure(&[
        Field::required(Member::AccessKeyId, secret(20, 30, &pattern::XKS_ACCESS_KEY)),
        Field::required(Member::RawSecretAccessKey, secret(43, 64, &pattern::XKS_SECRET_ACCESS_KEY)),
    ]),
);
const XKS_PROXY_CONNECTIVITY: Field =
    Field::optional(Member::XksProxyConnectivity, Shape::Choice(XksProxyConnectivityType::values()));

pub(super) static CREATE: &[Field] = &[
    Field::required(Member::CustomKeyStoreName, STORE_NAME),
    CLOUD_HSM_CLUSTER_ID,
    Field::optional(Member::TrustAnchorCertificate, text(1, 5000)),
    KEY_STORE_PASSWORD,
    Field::optional(Member::CustomKeyStoreType, Shape::Choice(CustomKeyStoreType::values())),
    XKS_PROXY_URI_ENDPOINT,
    XKS_PROXY_URI_PATH,
    XKS_PROXY_VPC_ENDPOINT_SERVICE_NAME,
    XKS_PROXY_VPC_ENDPOINT_SERVICE_OWNER,
    XKS_PROXY_AUTHENTICATION_CREDENTIAL,
    XKS_PROXY_CONNECTIVITY,
];

pub(super) static UPDATE: &[Field] = &[
    STORE_ID,
    Field::optional(Member::NewCustomKeyStoreName, STORE_NAME),
    KEY_STORE_PASSWORD,
    CLOUD_HSM_CLUSTER_ID,
    XKS_PROXY_URI_ENDPOINT,
    XKS_PROXY_URI_PATH,
    XKS_PROXY_VPC_ENDPOINT_SERVICE_NAME,
    XKS_PROXY_VPC_ENDPOINT_SERVICE_OWNER,
    XKS_PROXY_AUTHENTICATION_CREDENTIAL,
    XKS_PROXY_CONNECTIVITY,
];

pub(super) static DESCRIBE: &[Field] =
    &[CUSTOM_KEY_STORE_ID, Field::optional(Member::CustomKeyStoreName, STORE_NAME), LIMIT, MARKER];

pub(super) static STORE_ALONE: &[Field] = &[STORE_ID];

const fn secret(min: usize, max: usize, pattern: &'static Pattern) -> Shape {
    Shape::Secret { min, max, pattern: Some(pattern) }
}
