// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title OddToken: a token that behaves as it is told
contract OddToken {
    enum Mood {
        Fine,
        ReturnsNothing,
        ReturnsFalse,
        ReturnsTwo,
        ReturnsOneByte,
        Reverts,
        Lies, // returns true and moves nothing
        TakesAFee,
        MovesTooMuch,
        MovesBackwards, // takes from the market what it should bring, and the reverse
        HidesBalances,
        CallsBack,
        ReturnBomb
    }

    Mood public mood;
    mapping(address account => uint256) private _balances;
    address private _target;
    bytes[] private _attempts;
    bytes4[] private _answers;

    error No();

    function set(Mood to) external {
        mood = to;
    }

    function setAttempts(address target, bytes[] calldata attempts) external {
        _target = target;
        for (uint256 i = 0; i < attempts.length; ++i) {
            _attempts.push(attempts[i]);
        }
    }

    function answers() external view returns (bytes4[] memory) {
        return _answers;
    }

    function mint(address to, uint256 amount) external {
        _balances[to] += amount;
    }

    function balanceOf(address account) external view returns (uint256) {
        if (mood == Mood.HidesBalances) {
            assembly {
                return(0x00, 0x1f)
            }
        }
        return _balances[account];
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        if (mood == Mood.Reverts) revert No();
        if (mood == Mood.MovesBackwards) (from, to) = (to, from);
        uint256 moved = amount;
        if (mood == Mood.Lies || mood == Mood.ReturnsFalse) moved = 0;
        if (mood == Mood.MovesTooMuch) moved += 1;
        _balances[from] -= moved;
        _balances[to] += mood == Mood.TakesAFee ? moved - moved / 100 : moved;
        if (mood == Mood.CallsBack) {
            for (uint256 i = 0; i < _attempts.length; ++i) {
                (bool success, bytes memory why) = _target.call(_attempts[i]);
                _answers.push(success ? bytes4(0) : bytes4(why));
            }
        }
        uint256 size = 0x20;
        uint256 word = 1;
        if (mood == Mood.ReturnsNothing) size = 0;
        if (mood == Mood.ReturnsFalse) word = 0;
        if (mood == Mood.ReturnsTwo) word = 2;
        if (mood == Mood.ReturnsOneByte) (size, word) = (1, 1 << 248);
        if (mood == Mood.ReturnBomb) size = 100_000;
        assembly {
            mstore(0x00, word)
            return(0x00, size)
        }
    }
}
