// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title TermsPtr: {ILotaMarket-Terms} in memory, copied from calldata as a whole
/// @dev A struct of Solidity's would be checked field by field at every access, or zeroed before it is filled; both were
/// measured, and cost more than a tenth of what a deal costs beyond storage and events. Fields are not cleaned: see
/// {requireCanonical}.
type TermsPtr is uint256;

using TermsPtrs for TermsPtr global;

library TermsPtrs {
    function client(TermsPtr terms) internal pure returns (address) {
        return address(uint160(_word(terms, 0x00)));
    }

    function salt(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x20);
    }

    function spec(TermsPtr terms) internal pure returns (bytes32) {
        return bytes32(_word(terms, 0x40));
    }

    function specCodec(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x60);
    }

    function minPrice(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x80);
    }

    function maxPrice(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0xa0);
    }

    function rampStart(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0xc0);
    }

    function rampPeriod(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0xe0);
    }

    function lockBy(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x100);
    }

    function runFor(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x120);
    }

    function reviewFor(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x140);
    }

    function ruleFor(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x160);
    }

    function collateral(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x180);
    }

    function matcher(TermsPtr terms) internal pure returns (address) {
        return address(uint160(_word(terms, 0x1a0)));
    }

    function arbiter(TermsPtr terms) internal pure returns (address) {
        return address(uint160(_word(terms, 0x1c0)));
    }

    function callbackGas(TermsPtr terms) internal pure returns (uint256) {
        return _word(terms, 0x1e0);
    }

    /// @dev Reverts when a field has bits outside of its type, as the ABI decoder would. Needed wherever terms come in
    /// first: later ones match the hash of a known deal, or nothing.
    function requireCanonical(TermsPtr terms) internal pure {
        uint256 uint32s = runFor(terms) | reviewFor(terms) | ruleFor(terms) | callbackGas(terms);
        _requireNone((uint32s >> 32) | (lockBy(terms) >> 64) | (specCodec(terms) >> 16));
        requireCanonicalUnbounded(terms);
    }

    /// @dev The same for the fields that have no bounds: what terms must fulfil to be opened leaves no such bits in the
    /// others.
    function requireCanonicalUnbounded(TermsPtr terms) internal pure {
        uint256 addresses = _word(terms, 0x00) | _word(terms, 0x1a0) | _word(terms, 0x1c0);
        _requireNone((addresses >> 160) | ((rampStart(terms) | rampPeriod(terms)) >> 64));
    }

    function _requireNone(uint256 excess) private pure {
        assembly ("memory-safe") {
            if excess { revert(0, 0) }
        }
    }

    function _word(TermsPtr terms, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(terms, offset))
        }
    }
}
