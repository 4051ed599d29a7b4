//! Whom containers run as, as a person writes it.

use serde::{Deserialize, Serialize};

/// The numbers of a user and a group, neither of which is root: `65534:65534`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ContainerUser(String);

/// Why a text is no user of containers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a user of containers; name the numbers of a user and a group that are not root, such as 65534:65534"
)]
pub(crate) struct ParseUserError(String);

impl ContainerUser {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ContainerUser {
    fn default() -> Self {
        Self("65534:65534".to_owned())
    }
}

impl TryFrom<String> for ContainerUser {
    type Error = ParseUserError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number > 0);
        match text.split_once(':') {
            Some((user, group)) if is_number(user) && is_number(group) => Ok(Self(text)),
            _ => Err(ParseUserError(text)),
        }
    }
}

impl From<ContainerUser> for String {
    fn from(user: ContainerUser) -> Self {
        user.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_run_as_somebody_who_is_not_root() {
        assert_eq!(ContainerUser::try_from("1000:100".to_owned()).expect("valid").as_str(), "1000:100");
        for text in ["root", "0:0", "1000", "1000:0", "1000:users", "1:2:3", "-1:5", ""] {
            assert_eq!(ContainerUser::try_from(text.to_owned()), Err(ParseUserError(text.to_owned())));
        }
    }
}
