// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title OddToken: an ERC-20 that is honest, or odd in one way
contract OddToken {
    enum Oddity {
        None,
        ReturnsNothing, // succeeds without a word
        ReturnsFalse, // does nothing and says so without reverting
        TakesFee, // of what is moved
        MovesNothing, // and says it did
        Reverts, // at every transfer
        Calls, // whom it was told to, before it moves anything
        CannotBeApproved
    }

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    Oddity public oddity;
    address private _callee;

    error No();

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function become(Oddity to) external {
        oddity = to;
    }

    function callInstead(address callee) external {
        (oddity, _callee) = (Oddity.Calls, callee);
    }

    function approve(address spender, uint256 amount) external {
        if (oddity == Oddity.CannotBeApproved) revert No();
        allowance[msg.sender][spender] = amount;
        _answer();
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        if (allowance[from][msg.sender] < amount) revert No();
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        if (oddity == Oddity.Reverts) revert No();
        if (oddity == Oddity.Calls) {
            (bool success,) = _callee.call("");
            if (!success) revert No();
        }
        if (oddity != Oddity.MovesNothing && oddity != Oddity.ReturnsFalse) {
            balanceOf[from] -= amount;
            balanceOf[to] += oddity == Oddity.TakesFee ? amount - amount / 100 : amount;
        }
        _answer();
    }

    function _answer() private view {
        if (oddity == Oddity.ReturnsNothing) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        bool answer = oddity != Oddity.ReturnsFalse;
        assembly ("memory-safe") {
            mstore(0, answer)
            return(0, 0x20)
        }
    }
}
