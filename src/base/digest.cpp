#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/assert.h"
#include "base/encoding.h"

namespace trued {
namespace {

// Fetched once: looking the algorithm up costs more than hashing a small text (OpenSSL 3).
const EVP_MD* algorithm() {
  static const EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  TRUED_ASSERT(md != nullptr);
  return md;
}

}  // namespace

std::string Digest::hex() const {
  return hex_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<Digest> Digest::from_hex(std::string_view text) {
  Digest digest;
  const auto raw = hex_decode(text);
  if (!raw || raw->size() != digest.bytes.size()) return std::nullopt;
  std::memcpy(digest.bytes.data(), raw->data(), raw->size());
  return digest;
}

Digest sha256(std::string_view data) {
  Digest digest;
  unsigned int size = 0;
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  TRUED_ASSERT(context != nullptr);
  const bool done = EVP_DigestInit_ex2(context.get(), algorithm(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), digest.bytes.data(), &size) == 1;
  TRUED_ASSERT(done && size == digest.bytes.size());
  return digest;
}

bool equal_in_constant_time(const Digest& a, const Digest& b) {
  return CRYPTO_memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

struct Sha256::Context {
  EVP_MD_CTX* value = EVP_MD_CTX_new();
  bool finished = false;
  ~Context() { EVP_MD_CTX_free(value); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  TRUED_ASSERT(context_->value != nullptr);
  TRUED_ASSERT(EVP_DigestInit_ex2(context_->value, algorithm(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view data) {
  TRUED_ASSERT(!context_->finished);
  TRUED_ASSERT(EVP_DigestUpdate(context_->value, data.data(), data.size()) == 1);
}

Digest Sha256::finish() {
  TRUED_ASSERT(!context_->finished);
  context_->finished = true;
  Digest digest;
  unsigned int size = 0;
  TRUED_ASSERT(EVP_DigestFinal_ex(context_->value, digest.bytes.data(), &size) == 1);
  TRUED_ASSERT(size == digest.bytes.size());
  return digest;
}

}  // namespace trued
