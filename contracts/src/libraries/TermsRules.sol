// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Addresses} from "./Addresses.sol";

/// @title TermsRules: which terms may be opened, and what price they ask
library TermsRules {
    uint256 internal constant MAX_WINDOW = 90 days;
    /// @dev Amounts are below 2^48 quanta.
    uint256 internal constant AMOUNT_BITS = 48;
    uint256 private constant _DAG_CBOR = 0x71;
    uint256 private constant _JSON = 0x55;
    /// @dev FVM makes 10 million of it.
    uint256 private constant _TRANSFER_GAS = 2300;

    /// @dev Reverts with {ILotaMarket-BadTerms} and the first fault, in the order of {ILotaMarket-TermsFault}.
    function requireValid(ILotaMarket.Terms memory terms, uint256 quantum, uint256 minWindow, uint256 maxCallbackGas)
        internal
        view
    {
        if (terms.client == address(0)) _fail(ILotaMarket.TermsFault.ZeroClient);
        if (namesMasked(terms)) _fail(ILotaMarket.TermsFault.MaskedId);
        if (terms.specCodec != _DAG_CBOR && terms.specCodec != _JSON) _fail(ILotaMarket.TermsFault.SpecCodec);
        if ((terms.minPrice % quantum) | (terms.maxPrice % quantum) | (terms.collateral % quantum) != 0) {
            _fail(ILotaMarket.TermsFault.NotWholeQuanta);
        }
        // At most 2^112.
        uint256 bound = quantum << AMOUNT_BITS;
        if (terms.minPrice >= bound || terms.maxPrice >= bound || terms.collateral >= bound) {
            _fail(ILotaMarket.TermsFault.AmountTooLarge);
        }
        if (terms.minPrice > terms.maxPrice) _fail(ILotaMarket.TermsFault.PriceOrder);
        if (terms.rampPeriod == 0) _fail(ILotaMarket.TermsFault.ZeroRampPeriod);
        if (terms.rampStart > terms.lockBy) _fail(ILotaMarket.TermsFault.RampStart);
        if (_outside(terms.runFor, minWindow)) _fail(ILotaMarket.TermsFault.RunFor);
        bool reviewed = terms.arbiter != address(0);
        if (reviewed ? _outside(terms.reviewFor, minWindow) : terms.reviewFor != 0) {
            _fail(ILotaMarket.TermsFault.ReviewFor);
        }
        if (reviewed ? _outside(terms.ruleFor, minWindow) : terms.ruleFor != 0) _fail(ILotaMarket.TermsFault.RuleFor);
        if (terms.callbackGas > maxCallbackGas || terms.callbackGas == _TRANSFER_GAS) {
            _fail(ILotaMarket.TermsFault.CallbackGas);
        }
    }

    /// @dev Whether terms that are settled in a batch, and never opened, have a fault: they are not checked otherwise.
    function isFaultyInBatch(ILotaMarket.Terms memory terms) internal view returns (bool) {
        return namesMasked(terms) || terms.callbackGas != 0 || terms.keepRecord;
    }

    function namesMasked(ILotaMarket.Terms memory terms) internal view returns (bool) {
        return Addresses.isForeignMasked(terms.client) || Addresses.isForeignMasked(terms.matcher)
            || Addresses.isForeignMasked(terms.arbiter);
    }

    /// @dev The ramp's price at `time`. The terms must be valid.
    function priceAt(ILotaMarket.Terms memory terms, uint256 quantum, uint256 time) internal pure returns (uint256) {
        if (time <= terms.rampStart) return terms.minPrice;
        // Amounts of valid terms are below 2^112, times below 2^64, the period is not 0, and minPrice <= maxPrice.
        unchecked {
            uint256 elapsed = time - terms.rampStart;
            if (elapsed >= terms.rampPeriod) return terms.maxPrice;
            uint256 price = terms.minPrice + (terms.maxPrice - terms.minPrice) * elapsed / terms.rampPeriod;
            return price - price % quantum;
        }
    }

    /// @dev Whether a deal with these terms may have this price.
    function allowsPrice(ILotaMarket.Terms memory terms, uint256 quantum, uint256 price) internal pure returns (bool) {
        return price >= terms.minPrice && price <= terms.maxPrice && price % quantum == 0;
    }

    function _outside(uint256 window, uint256 minWindow) private pure returns (bool) {
        return window < minWindow || window > MAX_WINDOW;
    }

    function _fail(ILotaMarket.TermsFault fault) private pure {
        revert ILotaMarket.BadTerms(fault);
    }
}
