//! Whose jobs a node looks after, as a person writes it.

use core::{fmt, str::FromStr};

use lota_market::{Address, agent::LookAfter};
use serde::{Deserialize, Serialize};

use crate::units::Written;

/// `nobody`, `everybody`, or addresses with commas between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Clients(pub(crate) LookAfter);

/// Why a text names no clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address; write `everybody`, or addresses (0x and 40 hex digits) with commas between")]
pub(crate) struct ParseClientsError(String);

impl FromStr for Clients {
    type Err = ParseClientsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = |part: &str| -> Result<Address, ParseClientsError> {
            part.trim().parse().map_err(|_| ParseClientsError(part.trim().to_owned()))
        };
        match text.trim() {
            "" | "nobody" => Ok(Self(LookAfter::Nobody)),
            "everybody" => Ok(Self(LookAfter::Everybody)),
            list => {
                list.split(',').map(address).collect::<Result<_, _>>().map(|clients| Self(LookAfter::These(clients)))
            }
        }
    }
}

impl TryFrom<String> for Clients {
    type Error = ParseClientsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Clients> for String {
    fn from(clients: Clients) -> Self {
        clients.to_string()
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            LookAfter::Nobody => f.write_str("nobody"),
            LookAfter::Everybody => f.write_str("everybody"),
            LookAfter::These(clients) => {
                for (number, client) in clients.iter().enumerate() {
                    write!(f, "{}{client}", if number == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl Written for Clients {
    fn written(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_read_back_as_they_are_written() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        for (text, clients_named) in [
            ("nobody", LookAfter::Nobody),
            ("everybody", LookAfter::Everybody),
            (&format!("{a}, {b},{a}"), LookAfter::These([a, b].into())),
        ] {
            let clients: Clients = text.parse().expect(text);
            assert_eq!(clients.0, clients_named);
            assert_eq!(clients.to_string().parse(), Ok(clients));
        }
        for text in ["all", "0x12", "0x0101010101010101010101010101010101010101,", ","] {
            let error = text.parse::<Clients>().expect_err(text).to_string();
            assert!(error.contains("is no address; write `everybody`"), "{error}");
        }
    }
}
