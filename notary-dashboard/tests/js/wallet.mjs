// What a wallet's extension puts into each page (EIP-1193). It signs with ethers, another implementation of EIP-191 and EIP-712 than the
// page's; keys stay in this process.
import { Wallet, getBytes } from "ethers";

// With `announced`, wallets of these names announce themselves (EIP-6963): all of them sign with the key but the first, which belongs to
// nobody.
export async function inject(page, { key, chain = 31337, decline = false, announced = [] }) {
  const wallet = { calls: [], decline, chain };
  const signer = new Wallet(key);
  await page.exposeFunction("walletRequest", async (text) => {
    const { method, params } = JSON.parse(text);
    wallet.calls.push(method);
    const fail = (code, message) => ({ error: { code, message } });
    switch (method) {
      case "eth_requestAccounts": case "eth_accounts": return { result: [signer.address.toLowerCase()] };
      case "eth_chainId": return { result: "0x" + wallet.chain.toString(16) };
      case "wallet_switchEthereumChain": wallet.chain = Number(params[0].chainId); return { result: null };
      case "personal_sign":
        if (wallet.decline) return fail(4001, "User rejected");
        return { result: await signer.signMessage(getBytes(params[0])) };
      case "eth_signTypedData_v4": {
        if (wallet.decline) return fail(4001, "User rejected");
        const { domain, types, message, primaryType } = JSON.parse(params[1]);
        if (Number(domain.chainId) !== wallet.chain) return fail(-32603, "another chain");
        delete types.EIP712Domain;
        wallet.signed = { primaryType, message };
        return { result: await signer.signTypedData(domain, types, message) };
      }
      default: return fail(4200, `${method} is not known`);
    }
  });
  await page.evaluateOnNewDocument((announced) => {
    const request = async ({ method, params }) => {
      const { result, error } = await window.walletRequest(JSON.stringify({ method, params }));
      if (error) throw Object.assign(new Error(error.message), error);
      return result;
    };
    const nobodys = { request: async () => { throw Object.assign(new Error("locked"), { code: -32603 }); } };
    Object.defineProperty(window, "ethereum", { value: announced.length ? nobodys : { request } });
    const wallets = announced.map((name, at) => ({
      info: { uuid: String(at), name, rdns: `wallet${at}.example`, icon: "data:," },
      provider: at === 0 ? nobodys : { request },
    }));
    addEventListener("eip6963:requestProvider", () => {
      for (const detail of wallets) dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
    });
  }, announced);
  return wallet;
}
