//! Finds the keys that a request is about. What is found here is judged and used: nothing looks a key up twice.

use std::sync::Arc;

use super::super::{Found, Key, Keys, NamedBy, foreign};
use super::blob::Blob;
use super::directory::Regional;
use super::key::{KeyView, Origin};
use super::key_tag::KeyTagger;
use super::records::Records;
use super::{LocalBackend, Site, grant_pages, grants, import, multi_region, operations};
use crate::aws::{AliasArn, KeyArn, KeyRef, Member, Operation, Region};
use crate::clock::Clock;
use crate::credentials::PrincipalArn;
use crate::kms::{Exception, Input};

impl LocalBackend {
    /// Finds the keys that `input` is about, which `caller` sent to the KMS of `region`.
    ///
    /// # Errors
    ///
    /// `UnsupportedOperationException` for an operation that is not served; `NotFoundException` and
    /// `InvalidArnException` as KMS has them; for a key that only a ciphertext names, and that is not here,
    /// `AccessDeniedException`; `InvalidCiphertextException` for what is no ciphertext.
    pub fn resolve(&self, input: &Input, caller: &PrincipalArn, region: &Region) -> Result<Keys, Exception> {
        let directory = self.directory.load();
        let place = Place { keys: directory.region(region)?, region, site: &self.site, clock: &self.clock };
        let named = |member| place.named(input, member, caller);
        let operation = input.operation();
        let ciphertext = |member| match named(member)? {
            Some(found) => Ok(Some(found)),
            None => place.of_ciphertext(input, self.records.tagger()).map(Some),
        };
        let (main, source) = match operation {
            Operation::Decrypt => (ciphertext(Member::KeyId)?, None),
            Operation::ReEncrypt => {
                let destination = named(Member::DestinationKeyId)?;
                (destination, ciphertext(Member::SourceKeyId)?)
            }
            Operation::CreateAlias => {
                super::aliases::new_name(input)?;
                (place.alias_target(input, caller)?, None)
            }
            Operation::UpdateAlias => {
                let old = place.aliased(input, caller)?;
                (place.alias_target(input, caller)?, old)
            }
            Operation::UpdatePrimaryRegion => {
                let key = named(Member::KeyId)?;
                let primary = key.as_ref().and_then(|found| found.key.local());
                let replica = primary.and_then(|key| multi_region::replica(&directory, key, input));
                (key, replica.map(|key| Found { key: Key::Local(Arc::clone(key)), by: NamedBy::Key }))
            }
            Operation::RetireGrant => return place.of_grant(input, caller, &self.records),
            Operation::ListRetirableGrants => {
                grant_pages::of_own_account(input, caller)?;
                (None, None)
            }
            Operation::DeleteAlias => (place.aliased(input, caller)?, None),
            _ if !Self::serves(operation) => return Err(operations::not_served(operation)),
            _ => (operation.key().map(named).transpose()?.flatten(), None),
        };
        Ok(Keys { main, source, ..Keys::none(self.site.account) })
    }
}

/// Where keys are looked for: what there is in one region.
struct Place<'d> {
    keys: &'d Regional,
    region: &'d Region,
    site: &'d Site,
    clock: &'d Clock,
}

impl Place<'_> {
    fn named(&self, input: &Input, member: Member, caller: &PrincipalArn) -> Result<Option<Found>, Exception> {
        let Some(text) = input.string(member) else { return Ok(None) };
        let reference = KeyRef::parse(text, self.region)?;
        let operation = input.operation();
        if reference.alias_name().is_some() && !operation.accepts_alias() {
            return Err(Exception::alias_not_accepted());
        }
        self.look_up(reference, (operation, member), caller).map(Some)
    }

    fn look_up(
        &self,
        reference: KeyRef<'_>,
        (operation, member): (Operation, Member),
        caller: &PrincipalArn,
    ) -> Result<Found, Exception> {
        // Ids and names without an account are of the caller's own.
        let owner = reference.account().unwrap_or(caller.account());
        let own = owner == caller.account();
        let ours = owner == self.site.account;
        let denied = || foreign(operation, member, caller);
        let open = own || ours && operation.cross_account();
        if !open {
            return Err(denied());
        }
        match reference {
            KeyRef::Id(id) | KeyRef::Arn { id, .. } => {
                let key = self.keys.key(id).filter(|_| ours);
                let absent = || Exception::not_found_key(KeyArn::new(self.region, owner, id).as_str());
                Ok(self.found(key.ok_or_else(|| if own { absent() } else { denied() })?, NamedBy::Key))
            }
            KeyRef::Alias(name) | KeyRef::AliasArn { name, .. } => {
                let key = self.keys.aliased(name).filter(|_| ours);
                let absent = || Exception::not_found_alias(AliasArn::new(self.region, owner, name).as_str());
                let key = key.ok_or_else(|| if own { absent() } else { denied() })?;
                Ok(self.found(key, NamedBy::Alias(name.into())))
            }
        }
    }

    fn of_ciphertext(&self, input: &Input, tagger: &KeyTagger) -> Result<Found, Exception> {
        let bytes = input.blob(Member::CiphertextBlob).unwrap_or_default();
        let blob = Blob::parse(bytes).map_err(|_| Exception::invalid_ciphertext())?;
        let key = self.keys.key(blob.key_arn().id()).filter(|key| key.same_material_as(blob.key_arn()));
        let (key, by) = if tagger.made(&blob) {
            // It was made here: if its key is not, that was deleted since, or is in another region.
            (key.ok_or_else(Exception::ciphertext_key_denied)?, NamedBy::Ciphertext)
        } else {
            // Another store made it, whose keys may have come here, or somebody by hand.
            let key = key.filter(|key| key.materials.version(blob.material_id()).is_some());
            (key.ok_or_else(Exception::invalid_ciphertext)?, NamedBy::ForeignCiphertext)
        };
        Ok(self.found(key, by))
    }

    /// The grant that is to be retired, and its key. Who has its token knows which key it is.
    fn of_grant(&self, input: &Input, caller: &PrincipalArn, records: &Records) -> Result<Keys, Exception> {
        let main = match grants::token_to_retire(input)? {
            None => self.named(input, Member::KeyId, caller)?,
            Some(token) => {
                let key = self.keys.key(records.open_grant_token(token)?.grant.key.id());
                Some(self.found(key.ok_or_else(Exception::invalid_grant_token)?, NamedBy::Key))
            }
        };
        let key = main.as_ref().and_then(|found| found.key.local()).ok_or_else(super::unresolved)?;
        let grant = grants::named(records, input, key, self.clock.now()).map_err(|refused| {
            // Without a grant of it, a caller of another account is not told that the key is here.
            let by_id = input.string(Member::GrantToken).is_none();
            let told = !by_id || key.arn.account() == caller.account();
            if told { refused } else { foreign(input.operation(), Member::KeyId, caller) }
        })?;
        Ok(Keys { main, grant: Some(grant), ..Keys::none(self.site.account) })
    }

    /// The key as it is now: imported material that has expired is not there any more, also where its removal is yet to
    /// be recorded and stored.
    fn found(&self, key: &Arc<KeyView>, by: NamedBy) -> Found {
        let key = match key.origin {
            Origin::AwsKms => Arc::clone(key),
            Origin::External => import::without_expired(key, self.clock.now()),
        };
        Found { key: Key::Local(key), by }
    }

    /// The key that an alias to be changed points to. The alias is what the call is about and does not name a key to be
    /// used, so `kms:RequestAlias` does not have it.
    fn aliased(&self, input: &Input, caller: &PrincipalArn) -> Result<Option<Found>, Exception> {
        let name = super::aliases::name(input)?;
        let found = self.look_up(KeyRef::Alias(name.as_str()), (input.operation(), Member::AliasName), caller)?;
        Ok(Some(Found { by: NamedBy::Key, ..found }))
    }

    /// An alias may point to a key of its own account and region, and never to another alias.
    fn alias_target(&self, input: &Input, caller: &PrincipalArn) -> Result<Option<Found>, Exception> {
        let text = input.string(Member::TargetKeyId).unwrap_or_default();
        match KeyRef::parse(text, self.region) {
            Ok(reference) if reference.alias_name().is_some() => {
                // The text is an emulator's; KMS's is not recorded.
                Err(Exception::validation("Aliases must refer to keys. Not aliases"))
            }
            Ok(reference) => {
                let asked = (input.operation(), Member::TargetKeyId);
                self.look_up(reference, asked, caller).map(Some)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
