//! Where credentials are looked for: the default chain of the AWS SDKs, and a role that is assumed with what it finds.
//!
//! The chain is environment, profile files, web identity, container or pod identity, and the instance's metadata. The
//! SDK reads the environment, tries again, gives up and goes through a proxy by its own rules. Those have a trap: where
//! `HTTP_PROXY` is set, the proxy is asked for the metadata services too, and sent the token of a pod. `NO_PROXY` has to
//! name their addresses (169.254.169.254, 169.254.170.2, 169.254.170.23); `HTTPS_PROXY` alone is harmless.

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};

use crate::aws::Region;
use crate::backend::aws::Role;

/// The name of the chain's own credentials in the log and in metrics.
const DEFAULT: &str = "default";

/// What the SDK finds in the environment and in profile files, for calls in `region`.
pub(crate) async fn default_chain(region: &Region) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(region.as_str().to_owned()))
        .load()
        .await
}

/// Looks for credentials from the beginning each time it is asked. What the SDK makes once holds on to the profile files
/// as they were then, and to the last answer of the instance's metadata whatever goes wrong later: with it neither a key
/// that was changed in a file nor a failure would ever be seen.
#[derive(Debug)]
pub(crate) struct Chain {
    region: Region,
    role: Option<Role>,
}

impl Chain {
    /// The default chain, and `role` assumed with what it finds, by the STS of `region`.
    #[must_use]
    pub(crate) fn new(region: &Region, role: Option<&Role>) -> Self {
        Self { region: region.clone(), role: role.cloned() }
    }

    /// The role's ARN, or `default`.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        self.role.as_ref().map_or(DEFAULT, |role| &role.arn)
    }

    async fn load(&self) -> provider::Result {
        let found = default_chain(&self.region).await;
        match &self.role {
            Some(role) => assume(role, &found).await,
            None => match found.credentials_provider() {
                Some(provider) => provider.provide_credentials().await,
                None => Err(CredentialsError::not_loaded("the default chain has no provider")),
            },
        }
    }
}

async fn assume(role: &Role, with: &SdkConfig) -> provider::Result {
    let mut builder = AssumeRoleProvider::builder(role.arn.as_ref()).session_name(role.session_name.as_ref());
    if let Some(external_id) = &role.external_id {
        builder = builder.external_id(external_id.as_ref());
    }
    builder.configure(with).build().await.provide_credentials().await
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
