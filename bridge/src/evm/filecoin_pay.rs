//! Filecoin Pay (FilecoinPayV1), as those who pay and are paid over it need it: call data and views.
//!
//! Source: <https://github.com/FilOzone/filecoin-pay>, `src/FilecoinPayV1.sol` at 04ded6a (v1.0.0); what contracts of ours use of it
//! is `contracts/src/interfaces/IFilecoinPay.sol`. Token zero is the chain's coin; epochs are block numbers.

use alloy::{primitives::Bytes as Data, sol_types::SolCall};
use lota_market::{Address, U256};

use super::market::bindings::{View, returned};

mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol! {
        interface FilecoinPay {
            struct RailView {
                address token;
                address from;
                address to;
                address operator;
                address validator;
                uint256 paymentRate;
                uint256 lockupPeriod;
                uint256 lockupFixed;
                uint256 settledUpTo;
                uint256 endEpoch;
                uint256 commissionRateBps;
                address serviceFeeRecipient;
            }

            function deposit(address token, address to, uint256 amount) external payable;
            function withdraw(address token, uint256 amount) external;
            function setOperatorApproval(
                address token,
                address operator,
                bool approved,
                uint256 rateAllowance,
                uint256 lockupAllowance,
                uint256 maxLockupPeriod
            ) external;
            function terminateRail(uint256 railId) external;
            function operatorApprovals(address token, address client, address operator) external view returns (
                bool isApproved,
                uint256 rateAllowance,
                uint256 lockupAllowance,
                uint256 rateUsage,
                uint256 lockupUsage,
                uint256 maxLockupPeriod
            );
            function getAccountInfoIfSettled(address token, address owner) external view returns (
                uint256 fundedUntilEpoch,
                uint256 currentFunds,
                uint256 availableFunds,
                uint256 currentLockupRate
            );
            function getRail(uint256 railId) external view returns (RailView memory);
            function accounts(address token, address owner) external view returns (
                uint256 funds,
                uint256 lockupCurrent,
                uint256 lockupRate,
                uint256 lockupLastSettledAt
            );
        }
    }
}

use abi::FilecoinPay;

/// What a payer lets an operator do; amounts are in the token's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    pub is_approved: bool,
    /// The most that may flow in each epoch.
    pub rate_allowance: U256,
    /// The most that may be locked.
    pub lockup_allowance: U256,
    pub rate_usage: U256,
    pub lockup_usage: U256,
    /// The most epochs for which money may be locked.
    pub max_lockup_period: U256,
}

/// What an account would be if its rails were settled now; amounts are in the token's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountInfo {
    /// Until when it can pay for its rails; it is in debt when that lies in the past.
    pub funded_until: U256,
    pub funds: U256,
    /// Of the funds, what is not locked.
    pub available: U256,
    /// What flows out in each epoch.
    pub lockup_rate: U256,
}

/// An account as it is stored; [`AccountInfo`] says what it would be now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredAccount {
    pub funds: U256,
    pub lockup_current: U256,
    pub lockup_rate: U256,
    /// An epoch.
    pub lockup_last_settled_at: U256,
}

/// A rail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rail {
    pub token: Address,
    pub payer: Address,
    pub payee: Address,
    pub operator: Address,
    pub validator: Address,
    /// In each epoch.
    pub payment_rate: U256,
    /// In epochs.
    pub lockup_period: U256,
    /// What can be paid at once.
    pub lockup_fixed: U256,
    /// An epoch.
    pub settled_up_to: U256,
    /// The epoch until which it pays, once it was terminated; 0 before.
    pub end_epoch: U256,
    /// In hundredths of a percent.
    pub commission_rate: U256,
    pub service_fee_recipient: Address,
}

/// Call data that pays `amount` into the account of `to`. Of the coin, exactly as much goes along as value; of a token, the contract
/// must have been approved for it.
#[must_use]
pub fn deposit(token: Address, to: Address, amount: U256) -> Data {
    FilecoinPay::depositCall { token, to, amount }.abi_encode().into()
}

/// Call data that pays `amount` out to the sender, from its account.
#[must_use]
pub fn withdraw(token: Address, amount: U256) -> Data {
    FilecoinPay::withdrawCall { token, amount }.abi_encode().into()
}

/// Call data by which the sender lets an operator lock its money; the usages in `approval` are not the sender's to say.
#[must_use]
pub fn set_operator_approval(token: Address, operator: Address, approval: &Approval) -> Data {
    FilecoinPay::setOperatorApprovalCall {
        token,
        operator,
        approved: approval.is_approved,
        rateAllowance: approval.rate_allowance,
        lockupAllowance: approval.lockup_allowance,
        maxLockupPeriod: approval.max_lockup_period,
    }
    .abi_encode()
    .into()
}

/// Call data that terminates a rail: by its payer or its operator.
#[must_use]
pub fn terminate_rail(rail: U256) -> Data {
    FilecoinPay::terminateRailCall { railId: rail }.abi_encode().into()
}

/// `operatorApprovals(token, client, operator)`.
#[must_use]
pub fn operator_approval(token: Address, client: Address, operator: Address) -> View<Approval> {
    let data = FilecoinPay::operatorApprovalsCall { token, client, operator }.abi_encode().into();
    View::new(data, |data| {
        let found = returned::<FilecoinPay::operatorApprovalsCall>(data)?;
        Ok(Approval {
            is_approved: found.isApproved,
            rate_allowance: found.rateAllowance,
            lockup_allowance: found.lockupAllowance,
            rate_usage: found.rateUsage,
            lockup_usage: found.lockupUsage,
            max_lockup_period: found.maxLockupPeriod,
        })
    })
}

/// `getAccountInfoIfSettled(token, owner)`.
#[must_use]
pub fn account_info(token: Address, owner: Address) -> View<AccountInfo> {
    let data = FilecoinPay::getAccountInfoIfSettledCall { token, owner }.abi_encode().into();
    View::new(data, |data| {
        let found = returned::<FilecoinPay::getAccountInfoIfSettledCall>(data)?;
        Ok(AccountInfo {
            funded_until: found.fundedUntilEpoch,
            funds: found.currentFunds,
            available: found.availableFunds,
            lockup_rate: found.currentLockupRate,
        })
    })
}

/// `accounts(token, owner)`.
#[must_use]
pub fn account(token: Address, owner: Address) -> View<StoredAccount> {
    let data = FilecoinPay::accountsCall { token, owner }.abi_encode().into();
    View::new(data, |data| {
        let found = returned::<FilecoinPay::accountsCall>(data)?;
        Ok(StoredAccount {
            funds: found.funds,
            lockup_current: found.lockupCurrent,
            lockup_rate: found.lockupRate,
            lockup_last_settled_at: found.lockupLastSettledAt,
        })
    })
}

/// `getRail(rail)`; it reverts when the rail was wound up or never was there.
#[must_use]
pub fn rail(rail: U256) -> View<Rail> {
    let data = FilecoinPay::getRailCall { railId: rail }.abi_encode().into();
    View::new(data, |data| {
        let found = returned::<FilecoinPay::getRailCall>(data)?;
        Ok(Rail {
            token: found.token,
            payer: found.from,
            payee: found.to,
            operator: found.operator,
            validator: found.validator,
            payment_rate: found.paymentRate,
            lockup_period: found.lockupPeriod,
            lockup_fixed: found.lockupFixed,
            settled_up_to: found.settledUpTo,
            end_epoch: found.endEpoch,
            commission_rate: found.commissionRateBps,
            service_fee_recipient: found.serviceFeeRecipient,
        })
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::hex;

    use super::*;

    /// Selectors by Foundry's `cast sig`; arguments in their order.
    #[test]
    fn calls_are_those_of_the_contract() {
        let (token, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let approval = Approval {
            is_approved: true,
            rate_allowance: U256::from(3),
            lockup_allowance: U256::from(4),
            rate_usage: U256::MAX,
            lockup_usage: U256::MAX,
            max_lockup_period: U256::from(5),
        };
        let (first, second) = (token.into_word(), other.into_word());
        let word = |number: u8| U256::from(number).to_be_bytes::<32>();
        let all: [(Data, [u8; 4], Vec<[u8; 32]>); 8] = [
            (deposit(token, other, U256::from(3)), hex!("8340f549"), vec![first.0, second.0, word(3)]),
            (withdraw(token, U256::from(3)), hex!("f3fef3a3"), vec![first.0, word(3)]),
            (
                set_operator_approval(token, other, &approval),
                hex!("875bc8b6"),
                vec![first.0, second.0, word(1), word(3), word(4), word(5)],
            ),
            (terminate_rail(U256::from(3)), hex!("cbb0bf18"), vec![word(3)]),
            (operator_approval(token, other, Address::ZERO).data, hex!("e3d4c69e"), vec![first.0, second.0, word(0)]),
            (account_info(token, other).data, hex!("05f4c536"), vec![first.0, second.0]),
            (account(token, other).data, hex!("ad74b775"), vec![first.0, second.0]),
            (rail(U256::from(3)).data, hex!("22e440b3"), vec![word(3)]),
        ];
        for (data, selector, arguments) in all {
            assert_eq!(data[..4], selector);
            assert_eq!(data[4..], arguments.concat(), "{}", hex::encode(selector));
        }
    }
}
