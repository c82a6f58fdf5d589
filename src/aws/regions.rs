//! The regions whose KMS one gateway is.

use std::sync::Arc;

use super::Region;

/// A gateway's own region, and those beside it that replicas of its multi-Region keys can be in: of one partition, and
/// none of them twice. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    own: Region,
    /// All of them, the own one first.
    all: Arc<[Region]>,
}

/// Which of a gateway's [`Regions`] a request is for; by default its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServedRegion(usize);

impl Regions {
    /// The own one alone.
    #[must_use]
    pub fn new(own: Region) -> Self {
        Self { all: Arc::new([own.clone()]), own }
    }

    /// Adds one for replicas.
    ///
    /// # Errors
    ///
    /// [`InvalidReplicaRegion`].
    pub fn add(&mut self, replica: Region) -> Result<(), InvalidReplicaRegion> {
        if replica == self.own {
            return Err(InvalidReplicaRegion::Own);
        }
        if self.all.contains(&replica) {
            return Err(InvalidReplicaRegion::Twice);
        }
        if replica.partition() != self.own.partition() {
            return Err(InvalidReplicaRegion::Partition);
        }
        self.all = self.all.iter().cloned().chain([replica]).collect();
        Ok(())
    }

    /// The gateway's own.
    #[must_use]
    pub const fn own(&self) -> &Region {
        &self.own
    }

    /// All of them, the own one first.
    #[must_use]
    pub fn all(&self) -> &[Region] {
        &self.all
    }

    /// Those beside the own one.
    pub fn replicas(&self) -> impl Iterator<Item = &Region> {
        self.all.iter().skip(1)
    }

    /// The one of that name. Costs a comparison for each, of which there is a handful.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ServedRegion> {
        self.all.iter().position(|region| region.as_str() == name).map(ServedRegion)
    }

    /// The region that was found.
    #[must_use]
    pub fn get(&self, served: ServedRegion) -> &Region {
        self.all.get(served.0).unwrap_or(&self.own)
    }
}

/// A region that replicas cannot be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReplicaRegion {
    /// The gateway's own.
    #[error("it is the gateway's own region")]
    Own,
    /// One that is there.
    #[error("it is named twice")]
    Twice,
    /// Of another partition: a multi-Region key and its replicas are in one (developer guide, "Multi-Region keys").
    #[error("it is in another partition than the gateway's own region")]
    Partition,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    #[test]
    fn a_region_is_found_by_its_name_and_is_the_own_one_by_default() {
        let mut regions = Regions::new(region("us-east-1"));
        for name in ["eu-west-1", "ap-south-1"] {
            regions.add(region(name)).unwrap();
        }
        for name in ["us-east-1", "eu-west-1", "ap-south-1"] {
            assert_eq!(regions.get(regions.find(name).unwrap()).as_str(), name);
        }
        for name in ["us-east-2", "us-east-1 ", "US-EAST-1", ""] {
            assert_eq!(regions.find(name), None, "{name}");
        }
        assert_eq!(regions.get(ServedRegion::default()), regions.own());
        assert_eq!(regions.all().first(), Some(regions.own()));
        assert_eq!(regions.replicas().map(Region::as_str).collect::<Vec<_>>(), ["eu-west-1", "ap-south-1"]);
    }

    #[test]
    fn a_region_that_replicas_cannot_be_in_is_not_added() {
        let mut regions = Regions::new(region("us-east-1"));
        regions.add(region("eu-west-1")).unwrap();
        for (name, error) in [
            ("us-east-1", InvalidReplicaRegion::Own),
            ("eu-west-1", InvalidReplicaRegion::Twice),
            ("cn-north-1", InvalidReplicaRegion::Partition),
            ("us-gov-west-1", InvalidReplicaRegion::Partition),
        ] {
            assert_eq!(regions.add(region(name)), Err(error), "{name}");
        }
        assert_eq!(regions.all().len(), 2);
    }
}
