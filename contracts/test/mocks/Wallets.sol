// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Wallet: an ERC-1271 wallet that answers as it is told
contract Wallet {
    enum Answer {
        Magic,
        Wrong,
        OnlyFourBytes,
        DirtyMagic,
        Nothing,
        Revert,
        BurnGas,
        ReturnBomb,
        RevertBomb,
        ChangeState
    }

    bytes4 internal constant MAGIC = 0x1626ba7e;

    Answer public answer;
    bytes32 public known; // the digest it signs
    uint256 private _count;

    error No();

    function set(Answer to, bytes32 digest) external {
        (answer, known) = (to, digest);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external returns (bytes4) {
        if (digest != known || keccak256(signature) != keccak256("by the wallet")) return 0xffffffff;
        if (answer == Answer.Wrong) return 0xffffffff;
        if (answer == Answer.Revert) revert No();
        if (answer == Answer.ChangeState) ++_count;
        if (answer == Answer.BurnGas) while (true) {}
        uint256 chosen = uint256(answer);
        assembly {
            mstore(0x00, shl(224, 0x1626ba7e))
            switch chosen
            case 2 { return(0x00, 0x04) }
            case 3 {
                mstore(0x00, or(mload(0x00), 1))
                return(0x00, 0x20)
            }
            case 4 { return(0x00, 0x00) }
            case 7 { return(0x00, 20000) }
            case 8 { revert(0x00, 20000) }
        }
        return MAGIC;
    }
}
