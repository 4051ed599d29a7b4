// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @notice What a blessed job's provider is granted.
/// @param jobId the job's id at the market
/// @param round which nomination of the job it was, from 1
/// @param provider who ran the job
/// @param recipient what the provider registered for this granter: a Filecoin address's bytes, or the 20 bytes of an EVM address
/// @param amount in the granter's unit: bytes of DataCap, attoFIL, or a token's smallest unit
/// @param piece the 32 bytes of the piece commitment
/// @param pieceSize padded size of the piece, in bytes
/// @param reasons digest of the notaries' written reasons
struct Grant {
    bytes32 jobId;
    uint32 round;
    address provider;
    bytes recipient;
    uint256 amount;
    bytes32 piece;
    uint64 pieceSize;
    bytes32 reasons;
}

/// @title IGranter: what a provider gets for a job that notaries blessed
/// @notice Blessing.sol says that something is granted; a granter says what, and makes it.
interface IGranter {
    /// @notice Reverts with a named error if a grant to `recipient` of `amount` could not be made as things are (malformed
    /// recipient, not enough funds, over a limit).
    function checkGrant(address provider, bytes calldata recipient, uint256 amount) external view;

    /// @notice Makes the grant, or reverts with a named error. Called by the blessing contract alone, once for each blessed job;
    /// retried while it reverts.
    function grant(Grant calldata g) external;
}
