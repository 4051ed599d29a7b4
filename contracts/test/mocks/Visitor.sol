// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Visitor: a contract that makes calls whenever it is called (as a client, as a payee, by a token), and notes the answers
contract Visitor {
    struct Visit {
        address to;
        uint256 value;
        bytes data;
    }

    Visit[] private _visits;
    bytes4[] private _answers;
    bool public refuses; // whether it reverts after that
    bytes4 public called; // the selector of what it was called with last

    error No();

    receive() external payable {
        _react();
    }

    fallback() external payable {
        _react();
    }

    /// @dev Its own commands.
    function run(address to, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool success, bytes memory returned) = to.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
        return returned;
    }

    /// @dev Makes one more call from now on.
    function visit(address to, uint256 value, bytes calldata data) external {
        _visits.push(Visit(to, value, data));
    }

    function refuse() external {
        refuses = true;
    }

    /// @dev How many calls it made.
    function visits() external view returns (uint256) {
        return _answers.length;
    }

    /// @dev The selector of the error that a call was answered with; zero: it succeeded.
    function answer(uint256 index) external view returns (bytes4) {
        return _answers[index];
    }

    function _react() private {
        called = msg.sig;
        uint256 count = _visits.length;
        for (uint256 i = 0; i < count; ++i) {
            (bool success, bytes memory why) = _visits[i].to.call{value: _visits[i].value}(_visits[i].data);
            _answers.push(success ? bytes4(0) : bytes4(why));
        }
        if (refuses) revert No();
    }
}
