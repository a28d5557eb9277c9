// loop_impl.h: the loop with its Asio side showing. Private to src/io.
#pragma once

#include <functional>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "io/loop.h"

namespace trued::io {

class Loop::Impl {
 public:
  Impl();
  ~Impl();

  void wait_for_signal();

  boost::asio::io_context context{1};
  boost::asio::signal_set signals{context};
  std::function<void(int)> on_signal;

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace trued::io
