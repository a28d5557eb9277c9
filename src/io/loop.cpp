#include "io/loop.h"

#include <csignal>

#include <boost/asio/post.hpp>

#include "base/assert.h"
#include "io/loop_impl.h"

namespace trued::io {

Loop::Impl::Impl() : work_(context.get_executor()) {
  thread_ = std::thread([this] { context.run(); });
}

Loop::Impl::~Impl() {
  TRUED_ASSERT(thread_.get_id() != std::this_thread::get_id());
  context.stop();
  thread_.join();
}

void Loop::Impl::wait_for_signal() {
  signals.async_wait([this](const boost::system::error_code& failure, int number) {
    if (failure) return;
    on_signal(number);
    wait_for_signal();
  });
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::post(std::move_only_function<void()> work) {
  TRUED_ASSERT(work != nullptr);
  boost::asio::post(impl_->context, std::move(work));
}

void Loop::on_signals(std::function<void(int)> handler) {
  boost::asio::post(impl_->context, [impl = impl_.get(), handler = std::move(handler)]() mutable {
    impl->on_signal = std::move(handler);
    impl->signals.add(SIGINT);
    impl->signals.add(SIGTERM);
    impl->wait_for_signal();
  });
}

}  // namespace trued::io
