// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {TermsPtr} from "../types/TermsPtr.sol";

/// @title TermsRules: which terms may be opened, and what price they ask
library TermsRules {
    uint256 internal constant MAX_WINDOW = 90 days;
    /// @dev Amounts are below 2^48 gwei.
    uint256 internal constant AMOUNT_BITS = 48;
    uint256 private constant _DAG_CBOR = 0x71;
    uint256 private constant _JSON = 0x55;

    /// @dev Reverts with {ILotaMarket-BadTerms} and the first fault, in the order of {ILotaMarket-TermsFault}.
    function requireValid(TermsPtr terms, uint256 minWindow, uint256 maxCallbackGas) internal pure {
        uint256 minPrice = terms.minPrice();
        uint256 maxPrice = terms.maxPrice();
        uint256 collateral = terms.collateral();
        uint256 codec = terms.specCodec();
        bool unruled = terms.arbiter() == address(0);

        if (terms.client() == address(0)) _fail(ILotaMarket.TermsFault.ZeroClient);
        if (codec != _DAG_CBOR && codec != _JSON) _fail(ILotaMarket.TermsFault.SpecCodec);
        if ((minPrice % 1 gwei) | (maxPrice % 1 gwei) | (collateral % 1 gwei) != 0) {
            _fail(ILotaMarket.TermsFault.NotWholeGwei);
        }
        if (((minPrice / 1 gwei) | (maxPrice / 1 gwei) | (collateral / 1 gwei)) >> AMOUNT_BITS != 0) {
            _fail(ILotaMarket.TermsFault.AmountTooLarge);
        }
        if (minPrice > maxPrice) _fail(ILotaMarket.TermsFault.PriceOrder);
        if (terms.rampPeriod() == 0) _fail(ILotaMarket.TermsFault.ZeroRampPeriod);
        if (_outside(terms.runFor(), minWindow)) _fail(ILotaMarket.TermsFault.RunFor);
        if (_outside(terms.reviewFor(), minWindow)) {
            if (!unruled || terms.reviewFor() != 0) _fail(ILotaMarket.TermsFault.ReviewFor);
        }
        if (_outside(terms.ruleFor(), minWindow)) {
            if (!unruled || terms.ruleFor() != 0) _fail(ILotaMarket.TermsFault.RuleFor);
        }
        if (terms.callbackGas() > maxCallbackGas) _fail(ILotaMarket.TermsFault.CallbackGas);
    }

    /// @dev The ramp's price at `time`, in attoFIL. The terms must be valid.
    function priceAt(TermsPtr terms, uint256 time) internal pure returns (uint256) {
        uint256 minPrice = terms.minPrice();
        uint256 start = terms.rampStart();
        uint256 period = terms.rampPeriod();
        if (time <= start) return minPrice;
        // Amounts of valid terms are below 2^78, times below 2^64, the period is not 0, and minPrice <= maxPrice.
        unchecked {
            uint256 elapsed = time - start;
            if (elapsed >= period) return terms.maxPrice();
            uint256 price = minPrice + (terms.maxPrice() - minPrice) * elapsed / period;
            return price - price % 1 gwei;
        }
    }

    /// @dev window < minWindow || window > MAX_WINDOW: one of the differences is negative.
    function _outside(uint256 window, uint256 minWindow) private pure returns (bool) {
        unchecked {
            return ((window - minWindow) | (MAX_WINDOW - window)) >> 255 != 0;
        }
    }

    function _fail(ILotaMarket.TermsFault fault) private pure {
        revert ILotaMarket.BadTerms(fault);
    }
}
