#include "traces/indexer/training_loss.h"

#include <cmath>
#include <cstring>

#include "Eigen/Core"

#include "kernels/fp8.h"
#include "sim/base/det_math.h"

namespace tierscope {
namespace {

using Eigen::Index;
// A row of weights is a row here.
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Matrix = Eigen::MatrixXd;

using RowMap = Eigen::Map<const RowMatrix>;

std::vector<double> VectorOf(const RowMatrix& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}

// ln(1 + e^x) without overflow.
double SoftPlus(double x) {
  const double magnitude = x < 0.0 ? -x : x;
  return (x > 0.0 ? x : 0.0) + DetLog(1.0 + DetExp(-magnitude));
}

struct ExampleLoss {
  double value;
  double slope;  // of the value, by the logit
};

// With s = +-1 the label's sign, u = s z: p_y = sigmoid(u), -ln p_y = softplus(-u) and
// d(-ln p_y) / du = -(1 - p_y).
ExampleLoss LossOf(TrainingLoss loss, double logit, bool label) {
  const double sign = label ? 1.0 : -1.0;
  const double cross = SoftPlus(-sign * logit);
  const double wrong = DetSigmoid(-sign * logit);  // 1 - p_y
  if (loss == TrainingLoss::kBce) return {cross, -sign * wrong};
  // d(wrong) / du = -wrong (1 - wrong).
  const double slope = -2.0 * wrong * wrong * (1.0 - wrong) * cross - wrong * wrong * wrong;
  return {wrong * wrong * cross, sign * slope};
}

Matrix DecodeKeys(const TrainingWindow& window, int head_dim) {
  Matrix keys(head_dim, static_cast<Index>(window.labels.size()));
  const uint8_t* row = window.keys.data();
  for (Index n = 0; n < keys.cols(); ++n, row += head_dim + kKeyScaleBytes) {
    float scale;
    std::memcpy(&scale, row + head_dim, sizeof scale);
    for (Index d = 0; d < head_dim; ++d) keys(d, n) = double{E4m3ToFloat(row[d])} * double{scale};
  }
  return keys;
}

// One batch through one layer. Columns are windows.
class LayerPass {
 public:
  LayerPass(const IndexerShape& shape, const LayerValues& weights,
            std::span<const TrainingWindow> batch)
      : shape_(shape),
        batch_(batch),
        wq_a_(RowMap(weights.wq_a.data(), shape.rank, shape.hidden)),
        wq_b_(RowMap(weights.wq_b.data(), shape.query_values(), shape.rank)),
        weights_proj_(RowMap(weights.weights_proj.data(), shape.heads, shape.hidden)),
        q_norm_(weights.q_norm),
        weight_scale_(1.0 / std::sqrt(double(shape.head_dim) * double(shape.heads))) {
    const std::vector<double> frequencies = YarnFrequencies(shape.rope_dims(), YarnParameters());
    for (const TrainingWindow& window : batch)
      rotations_.emplace_back(frequencies, window.position);
  }

  double Run(TrainingLoss loss, LayerValues* gradient) {
    MakeQueries();
    double examples = 0.0;
    for (const TrainingWindow& window : batch_) examples += double(window.labels.size());
    double sum = 0.0;
    query_slopes_.resize(queries_.rows(), queries_.cols());
    head_slopes_.resize(head_weights_.rows(), head_weights_.cols());
    for (Index b = 0; b < queries_.cols(); ++b) sum += ScoreWindow(b, loss, 1.0 / examples);
    Backward(gradient);
    return sum / examples;
  }

 private:
  std::span<double> HeadOf(Matrix& columns, Index window, int head) const {
    const auto dim = static_cast<size_t>(shape_.head_dim);
    return {columns.col(window).data() + static_cast<size_t>(head) * dim, dim};
  }

  void MakeQueries() {
    hidden_.resize(shape_.hidden, static_cast<Index>(batch_.size()));
    for (Index b = 0; b < hidden_.cols(); ++b) {
      for (Index i = 0; i < hidden_.rows(); ++i) {
        hidden_(i, b) = double{batch_[static_cast<size_t>(b)].hidden[static_cast<size_t>(i)]};
      }
    }
    low_ = wq_a_ * hidden_;
    normed_.resize(low_.rows(), low_.cols());
    inverse_norms_.clear();
    for (Index b = 0; b < low_.cols(); ++b) {
      double squares = 0.0;
      for (Index i = 0; i < low_.rows(); ++i) squares += low_(i, b) * low_(i, b);
      inverse_norms_.push_back(1.0 / std::sqrt(squares / shape_.rank + double{kRmsEpsilon}));
      for (Index i = 0; i < low_.rows(); ++i) {
        normed_(i, b) = low_(i, b) * inverse_norms_.back() * q_norm_[static_cast<size_t>(i)];
      }
    }
    queries_ = wq_b_ * normed_;
    head_weights_ = weights_proj_ * hidden_ * weight_scale_;
    for (Index b = 0; b < queries_.cols(); ++b) {
      for (int h = 0; h < shape_.heads; ++h) {
        const std::span<double> head = HeadOf(queries_, b, h);
        rotations_[static_cast<size_t>(b)].Rotate(head);
        Hadamard(head);
      }
    }
  }

  // Sum of the losses of a window's examples; slopes of queries and head weights, times `weight`.
  double ScoreWindow(Index b, TrainingLoss loss, double weight) {
    const TrainingWindow& window = batch_[static_cast<size_t>(b)];
    const Matrix keys = DecodeKeys(window, shape_.head_dim);
    const Matrix heads =
        Eigen::Map<const Matrix>(queries_.col(b).data(), shape_.head_dim, shape_.heads);
    Matrix dots = heads.transpose() * keys;  // [heads][examples]
    Matrix dot_slopes(dots.rows(), dots.cols());
    double sum = 0.0;
    head_slopes_.col(b).setZero();
    for (Index n = 0; n < dots.cols(); ++n) {
      double logit = 0.0;
      for (Index h = 0; h < dots.rows(); ++h) {
        if (dots(h, n) > 0.0) logit += head_weights_(h, b) * dots(h, n);
      }
      const ExampleLoss of = LossOf(loss, logit, window.labels[static_cast<size_t>(n)] != 0);
      sum += of.value;
      const double slope = of.slope * weight;
      for (Index h = 0; h < dots.rows(); ++h) {
        const bool is_on = dots(h, n) > 0.0;
        if (is_on) head_slopes_(h, b) += slope * dots(h, n);
        dot_slopes(h, n) = is_on ? slope * head_weights_(h, b) : 0.0;
      }
    }
    const Matrix slopes = keys * dot_slopes.transpose();  // [head_dim][heads]
    for (Index h = 0; h < slopes.cols(); ++h) {
      for (Index d = 0; d < slopes.rows(); ++d) {
        query_slopes_(h * slopes.rows() + d, b) = slopes(d, h);
      }
    }
    return sum;
  }

  void Backward(LayerValues* gradient) {
    for (Index b = 0; b < query_slopes_.cols(); ++b) {
      for (int h = 0; h < shape_.heads; ++h) {
        const std::span<double> head = HeadOf(query_slopes_, b, h);
        Hadamard(head);  // symmetric and orthogonal
        rotations_[static_cast<size_t>(b)].Invert(head);
      }
    }
    gradient->wq_b = VectorOf(query_slopes_ * normed_.transpose());
    gradient->weights_proj = VectorOf(head_slopes_ * hidden_.transpose() * weight_scale_);
    Matrix slopes = wq_b_.transpose() * query_slopes_;  // of normed_, then of low_
    gradient->q_norm.assign(q_norm_.size(), 0.0);
    for (Index b = 0; b < slopes.cols(); ++b) {
      const double inverse = inverse_norms_[static_cast<size_t>(b)];
      double along = 0.0;
      for (Index i = 0; i < slopes.rows(); ++i) {
        const auto at = static_cast<size_t>(i);
        gradient->q_norm[at] += slopes(i, b) * low_(i, b) * inverse;
        slopes(i, b) *= q_norm_[at];
        along += slopes(i, b) * low_(i, b);
      }
      along *= inverse * inverse * inverse / shape_.rank;
      for (Index i = 0; i < slopes.rows(); ++i) {
        slopes(i, b) = slopes(i, b) * inverse - low_(i, b) * along;
      }
    }
    gradient->wq_a = VectorOf(slopes * hidden_.transpose());
  }

  const IndexerShape& shape_;
  std::span<const TrainingWindow> batch_;
  const RowMap wq_a_, wq_b_, weights_proj_;
  const std::vector<double>& q_norm_;
  const double weight_scale_;
  std::vector<Rotation> rotations_;
  Matrix hidden_, low_, normed_, queries_, head_weights_;
  std::vector<double> inverse_norms_;
  Matrix query_slopes_, head_slopes_;
};

}  // namespace

LayerValues ValuesOf(const LayerWeights& weights) {
  const auto widen = [](const std::vector<float>& values) {
    return std::vector<double>(values.begin(), values.end());
  };
  return {widen(weights.wq_a), widen(weights.q_norm), widen(weights.wq_b),
          widen(weights.weights_proj)};
}

void FixProductBlocking() { Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 4 << 20); }

double LossAndGradient(const IndexerShape& shape, const LayerValues& weights,
                       std::span<const TrainingWindow> batch, TrainingLoss loss,
                       LayerValues* gradient) {
  return LayerPass(shape, weights, batch).Run(loss, gradient);
}

}  // namespace tierscope
