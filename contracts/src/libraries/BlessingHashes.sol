// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../interfaces/IBlessing.sol";
import {Hashes} from "./Hashes.sol";

/// @title BlessingHashes: the EIP-712 types that notaries sign
library BlessingHashes {
    bytes32 private constant _NOMINATION_TYPEHASH = keccak256(
        "Nomination(bytes32 jobId,uint32 round,address client,address provider,address matcher,address arbiter,"
        "address nominator,address granter,bytes recipient,uint256 amount,bytes32 piece,uint64 pieceSize,uint256 share,"
        "uint256 bounty,uint64 expires)"
    );

    bytes32 private constant _APPROVAL_TYPEHASH = keccak256(
        "Approval(Nomination nomination,bytes32 reasons,uint32 version)"
        "Nomination(bytes32 jobId,uint32 round,address client,address provider,address matcher,address arbiter,"
        "address nominator,address granter,bytes recipient,uint256 amount,bytes32 piece,uint64 pieceSize,uint256 share,"
        "uint256 bounty,uint64 expires)"
    );

    bytes32 private constant _REJECTION_TYPEHASH = keccak256(
        "Rejection(Nomination nomination,bytes32 reasons,uint32 version)"
        "Nomination(bytes32 jobId,uint32 round,address client,address provider,address matcher,address arbiter,"
        "address nominator,address granter,bytes recipient,uint256 amount,bytes32 piece,uint64 pieceSize,uint256 share,"
        "uint256 bounty,uint64 expires)"
    );

    bytes32 private constant _REVOCATION_TYPEHASH = keccak256(
        "Revocation(Nomination nomination,bytes32 reasons,uint32 version)"
        "Nomination(bytes32 jobId,uint32 round,address client,address provider,address matcher,address arbiter,"
        "address nominator,address granter,bytes recipient,uint256 amount,bytes32 piece,uint64 pieceSize,uint256 share,"
        "uint256 bounty,uint64 expires)"
    );

    bytes32 private constant _SET_NOTARIES_TYPEHASH =
        keccak256("SetNotaries(address[] notaries,uint32 quorum,uint64 decision,uint64 until)");

    bytes32 private constant _SET_GRANTER_TYPEHASH = keccak256(
        "SetGranter(address granter,uint128 perJob,uint128 perProvider,uint128 perPeriod,uint64 decision,uint64 until)"
    );

    function domainSeparator() internal view returns (bytes32) {
        return keccak256(
            abi.encode(Hashes.DOMAIN_TYPEHASH, keccak256("LotaBlessing"), keccak256("1"), block.chainid, address(this))
        );
    }

    /// @dev In two halves, which keeps the compiler's stack short; all members are words.
    function ofNomination(IBlessing.Nomination memory n) internal pure returns (bytes32) {
        bytes memory first =
            abi.encode(_NOMINATION_TYPEHASH, n.jobId, n.round, n.client, n.provider, n.matcher, n.arbiter, n.nominator);
        bytes memory second =
            abi.encode(n.granter, keccak256(n.recipient), n.amount, n.piece, n.pieceSize, n.share, n.bounty, n.expires);
        return keccak256(bytes.concat(first, second));
    }

    function ofVote(IBlessing.Choice choice, bytes32 nomination, bytes32 reasons, uint32 version)
        internal
        pure
        returns (bytes32)
    {
        bytes32 typehash = choice == IBlessing.Choice.Approve
            ? _APPROVAL_TYPEHASH
            : choice == IBlessing.Choice.Reject ? _REJECTION_TYPEHASH : _REVOCATION_TYPEHASH;
        return keccak256(abi.encode(typehash, nomination, reasons, version));
    }

    function ofNotaries(address[] memory notaries, uint32 quorum, uint64 decision, uint64 until)
        internal
        pure
        returns (bytes32)
    {
        // Elements of an array are padded to words also where it is packed.
        bytes32 list = keccak256(abi.encodePacked(notaries));
        return keccak256(abi.encode(_SET_NOTARIES_TYPEHASH, list, quorum, decision, until));
    }

    function ofGranter(address granter, IBlessing.Limits memory limits, uint64 decision, uint64 until)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(_SET_GRANTER_TYPEHASH, granter, limits, decision, until));
    }
}
